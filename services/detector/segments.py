"""Cells: all traffic, and each combination of segment values that the reference holds. Both ends are bounded.

What the reference holds beyond the bounds is in cells of `__other__`, and known by hashes of its texts. A combination
that it does not hold at all is new, and gets a cell from the log: see `admission.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from services.detector.baseline import ALL, Segmentation, cell_label, combination_key
from services.detector.signals.columns import Codes, translated
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import IntArray
from shared.events.block import SEGMENT_PREFIX
from shared.values import MISSING_LEVEL, OTHER_LEVEL

MAX_VALUES = 50  # of a dimension; rarer ones are `__other__`
MAX_CELLS = 1_000
MAX_CROSSED = 8  # dimensions of one segmentation
MAX_HELD = 20_000  # combinations that are known by their hash; shared evenly by the segmentations

Memberships = npt.NDArray[np.int32]
DimensionColumn = tuple[Codes, list[str]]  # codes (-1 missing) into texts
Combination = tuple[str, ...]  # a value of each dimension of a segmentation


def divide(
    crosses: Sequence[tuple[str, ...]], dimensions: dict[str, DimensionColumn], rows: int
) -> tuple[list[Segmentation], list[str]]:
    """Return the segmentations of a reference and the labels of all cells, `all` first.

    Combinations are in the order of their values' texts. The rarest give way to `__other__` beyond 1,000 cells, the
    budget being shared evenly by the segmentations.
    """
    named = {name: _named_values(codes, texts) for name, (codes, texts) in dimensions.items()}
    segmentations: list[Segmentation] = []
    labels = [ALL]
    budget = (MAX_CELLS - 1) // max(len(crosses), 1) - 1
    for cross in crosses:
        values = [named[dimension] for dimension in cross]
        key = np.zeros(rows, dtype=np.int64)
        for dimension, kept in zip(cross, values, strict=True):
            key = key * (len(kept) + 1) + _places(*dimensions[dimension], kept)
        found, counts = np.unique(key, return_counts=True)
        largest = np.sort(found[np.argsort(-counts, kind="stable")][:budget])
        combinations = [_unravel(int(number), values) for number in largest]
        others = [OTHER_LEVEL] * len(cross)
        combinations = sorted(combination for combination in combinations if combination != others)
        segmentation = Segmentation(
            dimensions=list(cross),
            values=values,
            combinations=combinations,
            first=len(labels),
            other=len(labels) + len(combinations),
            held=np.zeros(0, np.int64),
            is_open=True,
        )
        segmentations.append(_holding(segmentation, dimensions, rows, MAX_HELD // len(crosses)))
        labels += [cell_label(cross, combination) for combination in (*combinations, others)]
    return segmentations, labels


def distinct(columns: Sequence[DimensionColumn]) -> tuple[IntArray, IntArray, list[Combination]]:
    """Return each row's place among the distinct combinations of texts, the first row of each, and these.

    They are in the order of their first rows.
    """
    place = np.zeros(len(columns[0][0]), np.int64)
    for codes, texts in columns:
        _, place = np.unique(place * (len(texts) + 1) + codes, return_inverse=True)
    _, first, place = np.unique(place, return_index=True, return_inverse=True)
    order = np.argsort(first)
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    named = [
        tuple(texts[codes[row]] if codes[row] >= 0 else MISSING_LEVEL for codes, texts in columns)
        for row in first[order].tolist()
    ]
    return ranks[place], first[order], named


class CellIndex:
    """From the values of a row's dimensions to its cells, one per segmentation behind the `all` of every row."""

    def __init__(self, segmentations: Sequence[Segmentation]) -> None:
        self.segmentations = segmentations
        self._places = [
            [{text: place for place, text in enumerate(kept)} for kept in segmentation.values]
            for segmentation in segmentations
        ]
        self._keys = [_cell_keys(segmentation) for segmentation in segmentations]
        self._is_pooled = _pooled(segmentations)

    @property
    def memberships(self) -> int:
        """Return how many cells a row is in."""
        return 1 + len(self.segmentations)

    def of_batch(self, batch: pa.RecordBatch) -> Memberships:
        """Return the cells of each row of a block, shape (rows, memberships); an absent dimension is missing."""
        columns = {
            name: batch.column(f"{SEGMENT_PREFIX}{name}")
            for name in {d for s in self.segmentations for d in s.dimensions}
            if f"{SEGMENT_PREFIX}{name}" in batch.schema.names
        }
        return self._of({name: _own_texts(column) for name, column in columns.items()}, batch.num_rows)

    def of_reference(self, dimensions: dict[str, DimensionColumn], rows: int) -> Memberships:
        """Return the cells of each row of the reference."""
        return self._of(dimensions, rows)

    def combinations(self, place: int, batch: pa.RecordBatch, rows: IntArray) -> list[DimensionColumn]:
        """Return the dimensions of a segmentation in some rows of a block, as `distinct` takes them."""
        absent: DimensionColumn = (np.full(len(rows), -1, np.int32), [])
        columns = [f"{SEGMENT_PREFIX}{name}" for name in self.segmentations[place].dimensions]
        known = set(batch.schema.names)
        return [_own_texts(batch.column(name).take(pa.array(rows))) if name in known else absent for name in columns]

    def pooled(self, place: int, cells: Memberships) -> BoolArray:
        """Tell which rows are in a cell of a segmentation that holds several combinations, by the cells of each."""
        found: BoolArray = self._is_pooled[cells[:, place + 1]]
        return found

    def _of(self, dimensions: dict[str, DimensionColumn], rows: int) -> Memberships:
        cells = np.zeros((rows, self.memberships), dtype=np.int32)
        absent: DimensionColumn = (np.full(rows, -1, dtype=np.int32), [])
        for place, segmentation in enumerate(self.segmentations):
            key = np.zeros(rows, dtype=np.int64)
            for dimension, kept in zip(segmentation.dimensions, self._places[place], strict=True):
                codes, texts = dimensions.get(dimension, absent)
                key = key * (len(kept) + 1) + _translate(codes, texts, kept)
            keys, found = self._keys[place]
            at = np.minimum(np.searchsorted(keys, key), keys.size - 1)
            cells[:, place + 1] = np.where(keys[at] == key, found[at], segmentation.other)
        return cells


def _holding(segmentation: Segmentation, dimensions: dict[str, DimensionColumn], rows: int, most: int) -> Segmentation:
    """Return the segmentation with what it holds of the reference beside its cells, where that is not too much."""
    index = CellIndex([segmentation])
    at = np.flatnonzero(index.pooled(0, index.of_reference(dimensions, rows)))
    columns = [dimensions[name] for name in segmentation.dimensions]
    _, _, named = distinct([(codes[at], texts) for codes, texts in columns])
    if len(named) > most:
        return msgspec.structs.replace(segmentation, is_open=False)
    held = np.array(sorted(map(combination_key, named)), np.int64)
    return msgspec.structs.replace(segmentation, held=held)


def _pooled(segmentations: Sequence[Segmentation]) -> BoolArray:
    """Return which cells hold several combinations: a value of theirs is `__other__`."""
    found = np.zeros(max((s.other for s in segmentations), default=0) + 1, np.bool_)
    for segmentation in segmentations:
        found[segmentation.other] = True
        for offset, combination in enumerate(segmentation.combinations):
            found[segmentation.first + offset] = OTHER_LEVEL in combination
    return found


def _named_values(codes: Codes, texts: list[str]) -> list[str]:
    counts = np.bincount(codes + 1, minlength=len(texts) + 1)
    named = dict(zip([MISSING_LEVEL, *texts], counts.tolist(), strict=True))
    ranked = sorted(
        (text for text, count in named.items() if count and text != OTHER_LEVEL), key=lambda text: (-named[text], text)
    )
    return sorted(ranked[:MAX_VALUES])


def _own_texts(column: pa.Array) -> DimensionColumn:
    texts: list[str] = []

    def code(text: str) -> int:
        texts.append(text)
        return len(texts) - 1

    return translated(column, code, -1), texts


def _places(codes: Codes, texts: list[str], kept: list[str]) -> IntArray:
    return _translate(codes, texts, {text: place for place, text in enumerate(kept)})


def _translate(codes: Codes, texts: list[str], places: dict[str, int]) -> IntArray:
    """Return the place of each row's value among the kept ones; one past the last is `__other__`."""
    table = [places.get(text, len(places)) for text in (*texts, MISSING_LEVEL)]
    return np.array(table, dtype=np.int64)[codes]


def _unravel(key: int, values: list[list[str]]) -> list[str]:
    found: list[str] = []
    for kept in reversed(values):
        key, place = divmod(key, len(kept) + 1)
        found.append(kept[place] if place < len(kept) else OTHER_LEVEL)
    return found[::-1]


def _cell_keys(segmentation: Segmentation) -> tuple[IntArray, IntArray]:
    """Return the mixed-radix keys of the segmentation's cells, ascending, and the cell of each."""
    sizes = [len(kept) + 1 for kept in segmentation.values]
    # The key of "every dimension is `__other__`" is always there, so the arrays are never empty.
    cells = {int(np.prod(sizes)) - 1: segmentation.other}
    for offset, combination in enumerate(segmentation.combinations):
        key = 0
        for size, kept, value in zip(sizes, segmentation.values, combination, strict=True):
            key = key * size + (size - 1 if value == OTHER_LEVEL else kept.index(value))
        cells[key] = segmentation.first + offset
    keys = np.array(sorted(cells), dtype=np.int64)
    return keys, np.array([cells[key] for key in keys.tolist()], dtype=np.int64)
