"""Correlations of chosen pairs of columns, in tumbling windows of all traffic: Welford's recursion for two columns.

Pearson's coefficient of values, and Spearman's as Pearson's of mid-ranks under the baseline. A pair counts the rows in
which both of its columns are known; every row counts towards the window.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from services.detector.banks.compiled import dense, kernel
from services.detector.banks.values import usable
from services.detector.state import Fields, array, fill, integer
from services.detector.statistics.correlation import Correlation, coefficient
from services.detector.structs import FloatArray, IntArray

_VALUES, _RANKS = 0, 1  # the first axis of the state
_MEAN_X, _MEAN_Y, _SQUARES_X, _SQUARES_Y, _PRODUCTS = range(5)  # the last axis of the sums


@dataclass(frozen=True, slots=True)
class ClosedCorrelations:
    """The correlations of one window, a pair each; without a coefficient where a column does not vary."""

    row: int  # row of the batch at which it closed
    start_row: int  # 0-based count of all rows, both inclusive
    end_row: int
    pearson: tuple[Correlation, ...]
    spearman: tuple[Correlation, ...]


class CorrelationBank:
    """The open window of every pair.

    Args:
        size: rows per window; at least 1.
        pairs: columns of each pair, [pairs, 2].
    """

    name: ClassVar[str] = "correlations"
    version: ClassVar[int] = 1

    def __init__(self, size: int, pairs: IntArray) -> None:
        if size < 1:
            raise ValueError("a window has at least one row")
        self._size = size
        self._pairs = dense(pairs, np.int64).reshape(-1, 2).copy()
        self._rows = 0
        self._known = np.zeros((2, len(self._pairs)), np.int64)
        self._sums = np.zeros((2, len(self._pairs), 5))

    def update(self, values: FloatArray, ranks: FloatArray) -> list[ClosedCorrelations]:
        """Fold rows; return the windows they closed, in order.

        Args:
            values: [rows, columns]; what is not finite, or too large to add up, is missing.
            ranks: [rows, columns], mid-ranks of the values under the baseline.

        Raises:
            ValueError: the tables differ in shape, or lack a column of a pair.
        """
        values, ranks = usable(values), usable(ranks)
        if values.shape != ranks.shape:
            raise ValueError("values and ranks are of different shapes")
        if self._pairs.size and not 0 <= self._pairs.min() <= self._pairs.max() < values.shape[1]:
            raise ValueError(f"a pair is outside the {values.shape[1]} columns")
        closed: list[ClosedCorrelations] = []
        start = 0
        while start < len(values):
            end = min(start + self._size - self._rows % self._size, len(values))
            _fold(values[start:end], self._pairs, self._known[_VALUES], self._sums[_VALUES])
            _fold(ranks[start:end], self._pairs, self._known[_RANKS], self._sums[_RANKS])
            self._rows += end - start
            if self._rows % self._size == 0:
                closed.append(self._close(end - 1))
            start = end
        return closed

    def snapshot(self) -> Fields:
        """Return everything that decides about the future."""
        return {
            "size": self._size,
            "pairs": self._pairs.copy(),
            "rows": self._rows,
            "known": self._known.copy(),
            "sums": self._sums.copy(),
        }

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the bank that `snapshot` was taken of."""
        bank = cls(integer(fields, "size"), array(fields, "pairs", np.int64))
        bank._rows = integer(fields, "rows")
        fill({"known": bank._known, "sums": bank._sums}, fields)
        return bank

    def _close(self, row: int) -> ClosedCorrelations:
        pearson, spearman = (
            tuple(
                Correlation(coefficient(sums[_SQUARES_X], sums[_SQUARES_Y], sums[_PRODUCTS]), known)
                for known, sums in zip(self._known[form].tolist(), self._sums[form].tolist(), strict=True)
            )
            for form in (_VALUES, _RANKS)
        )
        self._known[...] = 0
        self._sums[...] = 0.0
        return ClosedCorrelations(row, self._rows - self._size, self._rows - 1, pearson, spearman)


@kernel
def _fold(table: FloatArray, pairs: IntArray, known: IntArray, sums: FloatArray) -> None:
    for pair in range(pairs.shape[0]):
        i, j = pairs[pair, 0], pairs[pair, 1]
        for row in range(table.shape[0]):
            x, y = table[row, i], table[row, j]
            if not (math.isfinite(x) and math.isfinite(y)):
                continue
            known[pair] += 1
            from_x, from_y = x - sums[pair, _MEAN_X], y - sums[pair, _MEAN_Y]
            sums[pair, _MEAN_X] += from_x / known[pair]
            sums[pair, _MEAN_Y] += from_y / known[pair]
            sums[pair, _SQUARES_X] += from_x * (x - sums[pair, _MEAN_X])
            sums[pair, _SQUARES_Y] += from_y * (y - sums[pair, _MEAN_Y])
            sums[pair, _PRODUCTS] += from_x * (y - sums[pair, _MEAN_Y])
