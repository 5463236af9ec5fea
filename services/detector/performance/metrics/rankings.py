"""Metrics of rankings: of each row from its list and its gains, and of a cohort from sums over its rows.

An item is relevant where its gain is above 0. Of the first k items of a list:

    ndcg@k       sum of gain / log2(1 + place), by the same of the k largest gains (Jarvelin and Kekalainen, Cumulated
                 gain-based evaluation of IR techniques, 2002; gains as they are, as scikit-learn's `ndcg_score` has it)
    map@k        mean of the precision at the place of each relevant item, over min(k, relevant items)
    precision@k  relevant items by k, however short the list is
    recall@k     relevant items by all relevant items of the label
    hit_rate@k   1 where there is a relevant item
    mrr          1 / place of the first relevant item of the whole list; 0 where there is none

A row whose label has no relevant item is none of the rows that metrics are means of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.detector.banks.compiled import kernel
from services.detector.performance.metrics.value import Metrics, Value, around, rate, undefined
from services.detector.structs import FloatArray, IntArray
from shared.degradation import AT_CUTOFF
from shared.events.ranking import GAIN_BYTES, ITEM_BYTES, MAX_ITEMS

HIT_RATE, MRR = "hit_rate", "mrr"
NO_LABELS, NOTHING_RELEVANT = "no labels", "no label has a relevant item"

# math.log2 of each: numpy's vectorised logarithm differs between processors in the last bit.
_DISCOUNTS = np.array([1.0 / math.log2(place + 2.0) for place in range(MAX_ITEMS)])
_GAIN = np.dtype([("item", "<u8"), ("gain", "<f8")])
_SQUARED = "_squared"
_OF_CUTOFF = len(AT_CUTOFF)

Items = NDArray[np.uint64]


def metric_names(cutoffs: Sequence[int]) -> tuple[str, ...]:
    """Return the metrics of rankings that are judged at some lengths, in the order of `row_metrics`."""
    return (*(f"{name}@{k}" for k in cutoffs for name in AT_CUTOFF), MRR)


def sum_names(cutoffs: Sequence[int]) -> tuple[str, ...]:
    """Return what a cohort adds up, in the order of `addends`."""
    names = metric_names(cutoffs)
    return (*names, *(f"{name}{_SQUARED}" for name in names))


def row_metrics(items: pa.Array, gains: pa.Array, cutoffs: Sequence[int]) -> FloatArray:
    """Return the metrics of each row, [rows, metrics]; NaN without a list, a label or a relevant item.

    items, gains: bytes, as `shared/events/ranking.py` has them; null is missing.
    """
    found = np.full((len(items), len(metric_names(cutoffs))), np.nan)
    listed, starts = _flat(items)
    worth, ends = _flat(gains)
    known = np.asarray(items.is_valid()) & (np.diff(ends) > 0)
    pairs = np.frombuffer(worth, _GAIN)
    _judge(
        np.frombuffer(listed, np.dtype("<u8")).astype(np.uint64),
        starts // ITEM_BYTES,
        pairs["item"].astype(np.uint64),
        pairs["gain"].astype(np.float64),
        ends // GAIN_BYTES,
        np.flatnonzero(known).astype(np.int64),
        np.array(cutoffs, np.int64),
        _DISCOUNTS,
        found,
    )
    return found


def lengths(column: pa.Array, size: int) -> FloatArray:
    """Return how many items or gains of so many bytes each row has; NaN where it is null."""
    return np.array([math.nan if each is None else len(each) // size for each in column.to_pylist()], np.float64)


def addends(metrics: FloatArray) -> FloatArray:
    """Return what rows add to the sums of their cohorts; rows without metrics add nothing."""
    known = np.where(np.isnan(metrics), 0.0, metrics)
    return np.concatenate([known, known * known], axis=1)


def rankings(rows: int, without: int, sums: Mapping[str, float], cutoffs: Sequence[int]) -> Metrics:
    """Return every metric of so many rows; `without` are those of whose items none is relevant."""
    note = f"without {without} labels that have no relevant item" if without else ""
    if not rows:
        return {name: undefined(NOTHING_RELEVANT if without else NO_LABELS) for name in metric_names(cutoffs)}
    return {name: _mean(name, rows, sums, note) for name in metric_names(cutoffs)}


def _mean(name: str, rows: int, sums: Mapping[str, float], note: str) -> Value:
    if name.startswith(HIT_RATE):
        share = rate(sums[name], rows, NO_LABELS)
        return Value(share.value, share.low, share.high, note)
    mean = min(sums[name] / rows, 1.0)
    error = math.sqrt(max(sums[f"{name}{_SQUARED}"] / rows - mean * mean, 0.0) / rows)
    return around(mean, error, 0.0, 1.0, note)


def _flat(column: pa.Array) -> tuple[bytes, IntArray]:
    """Return the bytes of all rows behind one another, and where each begins; the last place is the end."""
    each = [one or b"" for one in column.to_pylist()]
    return b"".join(each), np.cumsum([0, *map(len, each)], dtype=np.int64)


@kernel
def _judge(
    items: Items,
    starts: IntArray,
    worth: Items,
    gains: FloatArray,
    ends: IntArray,
    rows: IntArray,
    cutoffs: IntArray,
    discounts: FloatArray,
    found: FloatArray,
) -> None:
    for at in range(rows.shape[0]):
        row = rows[at]
        first, listed = starts[row], starts[row + 1] - starts[row]
        best, relevant = ends[row], ends[row + 1] - ends[row]
        found[row, :] = 0.0
        for cutoff in range(cutoffs.shape[0]):
            k = cutoffs[cutoff]
            gained, ideal, hits, precisions = 0.0, 0.0, 0, 0.0
            for place in range(min(k, relevant)):
                ideal += gains[best + place] * discounts[place]
            for place in range(min(k, listed)):
                for one in range(best, best + relevant):
                    if worth[one] == items[first + place]:
                        hits += 1
                        gained += gains[one] * discounts[place]
                        precisions += hits / (place + 1)
                        break
            column = _OF_CUTOFF * cutoff
            found[row, column] = min(gained / ideal, 1.0)
            found[row, column + 1] = precisions / min(k, relevant)
            found[row, column + 2] = hits / k
            found[row, column + 3] = hits / relevant
            found[row, column + 4] = 1.0 if hits > 0 else 0.0
        for place in range(listed):
            is_relevant = False
            for one in range(best, best + relevant):
                is_relevant |= worth[one] == items[first + place]
            if is_relevant:
                found[row, found.shape[1] - 1] = 1.0 / (place + 1)
                break
