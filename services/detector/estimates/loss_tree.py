"""The loss that a regression should have, by its inputs: means of the reference's in the leaves of a small tree.

The tree is grown at once from the reference, best split first (Breiman and others, Classification and Regression
Trees, 1984; Fisher's order of categories by their mean loss), on the absolute error. Nothing in it is drawn at random.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from services.detector.banks.compiled import dense, kernel
from services.detector.estimates.reference import LossTree
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray, IntArray

LEAVES = 64
COLUMNS = 12  # that may be split: those that tell the most of the loss by one split
GROWN_ON = 200_000  # rows at most, evenly spaced
MIN_LEAF, LEAF_SHARE = 50, 0.005  # rows of a leaf at least, and as a share of all
BINS = 64  # of a column's values, between which splits may lie
_LARGEST_SQUARE = 1e145  # its square can still be summed


def losses_of(tree: LossTree, values: FloatArray) -> FloatArray:
    """Return the mean losses of rows' leaves, shape (rows, 3); values are [rows, columns], NaN missing."""
    leaves = np.zeros(len(values), np.int64)
    _descend(dense(values, np.float64), tree.column, tree.cut, tree.below, tree.above, tree.missing, leaves)
    found: FloatArray = tree.losses[leaves]
    return found


@kernel
def _descend(
    values: FloatArray,
    column: IntArray,
    cut: FloatArray,
    below: IntArray,
    above: IntArray,
    missing: IntArray,
    leaves: IntArray,
) -> None:
    for row in range(values.shape[0]):
        node = 0
        while column[node] >= 0:
            value = values[row, column[node]]
            side = below[node] if value <= cut[node] else above[node]
            node = missing[node] if math.isnan(value) else side
        leaves[row] = node


@dataclass(frozen=True, slots=True)
class Input:
    """A column that may tell of the loss: numbers with NaN missing, or codes of levels, -1 missing."""

    name: str
    values: FloatArray
    codes: IntArray
    levels: list[str]


@dataclass(slots=True)
class _Node:
    rows: IntArray  # of those that the tree is grown on
    gain: float = 0.0  # of its best split: what is left of the sum of squares less
    column: int = -1
    bin: int = -1
    children: tuple[int, int] = (-1, -1)


def grow(inputs: list[Input], errors: FloatArray) -> LossTree:
    """Return the tree of rows' errors (prediction - label), none of them NaN, by their inputs."""
    every = slice(None, None, max(1, -(-errors.size // GROWN_ON)))
    loss = np.abs(errors[every])
    ordered = [_ordered(given, np.abs(errors)) for given in inputs]
    edges = [_edges(values[every]) for values, _ in ordered]
    bins = [np.searchsorted(edge, values[every]) for edge, (values, _) in zip(edges, ordered, strict=True)]
    known = [~np.isnan(values[every]) for values, _ in ordered]
    least = max(MIN_LEAF, int(LEAF_SHARE * loss.size))
    root = np.arange(loss.size)
    gains = [_best(bins[at], known[at], edges[at].size, loss, root, least)[0] for at in range(len(ordered))]
    chosen = sorted(np.argsort(-np.array(gains), kind="stable")[:COLUMNS].tolist())
    chosen = [at for at in chosen if gains[at] > 0.0]

    def node(rows: IntArray) -> _Node:
        found = _Node(rows)
        for place, at in enumerate(chosen):
            gain, split = _best(bins[at], known[at], edges[at].size, loss, rows, least)
            if gain > found.gain:
                found.gain, found.column, found.bin = gain, place, split
        return found

    nodes = [node(root)]
    for _ in range(LEAVES - 1):
        grown = max((n for n in nodes if n.children[0] < 0), key=lambda n: n.gain)
        if grown.gain <= 0.0:
            break
        at = chosen[grown.column]
        left = (bins[at][grown.rows] <= grown.bin) & known[at][grown.rows]
        is_known = known[at][grown.rows]
        if 2 * int(left.sum()) >= int(is_known.sum()):
            left |= ~is_known
        grown.children = (len(nodes), len(nodes) + 1)
        nodes += [node(grown.rows[left]), node(grown.rows[~left])]
    split = [(inputs[at].name, *ordered[at], edges[at]) for at in chosen]
    return _arrays(nodes, split, errors)


def _ordered(given: Input, loss: FloatArray) -> tuple[FloatArray, list[str]]:
    """Return a column as numbers: its values, or the ranks of its levels by mean loss."""
    if not given.levels:
        return given.values, []
    ranks, order = level_ranks(given.codes, len(given.levels), loss)
    return np.where(given.codes < 0, np.nan, ranks[given.codes]), [given.levels[at] for at in order.tolist()]


def level_ranks(codes: IntArray, levels: int, loss: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return the rank of each level by the mean loss of its rows, and the levels in that order."""
    held = codes >= 0
    rows = np.bincount(codes[held], minlength=levels)
    means = np.bincount(codes[held], loss[held], minlength=levels) / np.maximum(rows, 1)
    order = np.argsort(means, kind="stable")
    ranks = np.empty(levels)
    ranks[order] = np.arange(levels, dtype=np.float64)
    return ranks, order


def _edges(values: FloatArray) -> FloatArray:
    """Return the cuts that a column may have: quantiles, or midpoints of few values."""
    held = np.unique(values[~np.isnan(values)])
    if held.size > BINS:
        shares = np.arange(1, BINS) / BINS
        return np.unique(np.quantile(values[~np.isnan(values)], shares, method="lower"))
    return held[:-1]


def _best(
    bins: IntArray, known: BoolArray, cuts: int, loss: FloatArray, rows: IntArray, least: int
) -> tuple[float, int]:
    """Return by how much the best cut of a column lowers the sum of squares of some rows, and the cut; 0 where none."""
    held = rows[known[rows]]
    if cuts == 0 or held.size < 2 * least:
        return 0.0, -1
    counts = np.cumsum(np.bincount(bins[held], minlength=cuts + 1))[:cuts].astype(np.float64)
    sums = np.cumsum(np.bincount(bins[held], loss[held], minlength=cuts + 1))
    total, n, below = float(sums[-1]), float(held.size), sums[:cuts]
    may = (counts >= least) & (n - counts >= least)
    above = np.maximum(n - counts, 1.0)
    gains = np.where(may, below**2 / np.maximum(counts, 1.0) + (total - below) ** 2 / above - total**2 / n, 0.0)
    at = int(np.argmax(gains))
    return float(gains[at]), at


def _arrays(
    nodes: list[_Node], split: list[tuple[str, FloatArray, list[str], FloatArray]], errors: FloatArray
) -> LossTree:
    """Return the nodes with the losses of all rows; `split` are the columns: name, values, levels, cuts."""
    size = [node.rows.size for node in nodes]
    inner = [node.children[0] >= 0 for node in nodes]
    larger = [n.children[0] if size[n.children[0]] >= size[n.children[1]] else n.children[1] for n in nodes]
    tree = LossTree(
        columns=[name for name, *_ in split],
        levels=[levels for _, _, levels, _ in split],
        column=np.array([n.column if has else -1 for n, has in zip(nodes, inner, strict=True)], np.int64),
        cut=np.array([split[n.column][3][n.bin] if has else 0.0 for n, has in zip(nodes, inner, strict=True)]),
        below=np.array([node.children[0] for node in nodes], np.int64),
        above=np.array([node.children[1] for node in nodes], np.int64),
        missing=np.array(larger, np.int64),
        losses=np.zeros((len(nodes), 3)),
    )
    leaves, values = np.zeros(errors.size, np.int64), np.zeros((errors.size, len(split)))
    for place, (_, column, _, _) in enumerate(split):
        values[:, place] = column
    _descend(values, tree.column, tree.cut, tree.below, tree.above, tree.missing, leaves)
    squares = np.minimum(errors * errors, _LARGEST_SQUARE)
    rows = np.maximum(np.bincount(leaves, minlength=len(nodes)), 1)
    for place, loss in enumerate((np.abs(errors), squares, squares * squares)):
        tree.losses[:, place] = np.bincount(leaves, loss, minlength=len(nodes)) / rows
    return tree
