"""Joint counts of chosen pairs of columns, in tumbling windows of all traffic.

What neither column shows alone, their table does: a relation may turn while both distributions stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from services.detector.banks.compiled import dense, kernel
from services.detector.banks.windows import MISSING
from services.detector.state import Fields, array, fill, integer
from services.detector.statistics.joint import FIFTHS, JOINT_BINS
from services.detector.structs import CodeArray, IntArray


@dataclass(frozen=True, slots=True)
class ClosedJoint:
    """The tables of one window."""

    row: int  # row of the batch at which it closed
    start_row: int  # 0-based count of all rows, both inclusive
    end_row: int
    counts: IntArray  # [pairs, 25]: 5 times the fifth of the first column and that of the second


class JointBank:
    """The open window of every pair. A pair counts rows in which both columns are known, the window counts all.

    Args:
        size: rows per window; at least 1.
        pairs: columns of each pair, [pairs, 2].
    """

    name: ClassVar[str] = "joint"
    version: ClassVar[int] = 1

    def __init__(self, size: int, pairs: IntArray) -> None:
        if size < 1:
            raise ValueError("a window has at least one row")
        self._size = size
        self._pairs = dense(pairs, np.int64).reshape(-1, 2).copy()
        self._rows = 0
        self._counts = np.zeros((len(self._pairs), JOINT_BINS), np.int64)

    def update(self, codes: CodeArray) -> list[ClosedJoint]:
        """Count rows of `codes` [rows, columns], fifths 0 to 4 or MISSING; return the windows they closed, in order.

        Raises:
            ValueError: a code is no fifth, or a column of a pair is not there.
        """
        codes = dense(codes, np.int32)
        if np.any(codes < MISSING) or np.any(codes >= FIFTHS):
            raise ValueError(f"a code is none of {FIFTHS} fifths")
        if self._pairs.size and not 0 <= self._pairs.min() <= self._pairs.max() < codes.shape[1]:
            raise ValueError(f"a pair is outside the {codes.shape[1]} columns")
        closed: list[ClosedJoint] = []
        start = 0
        while start < len(codes):
            end = min(start + self._size - self._rows % self._size, len(codes))
            _count(codes[start:end], self._pairs, self._counts.reshape(-1, FIFTHS, FIFTHS))
            self._rows += end - start
            if self._rows % self._size == 0:
                closed.append(ClosedJoint(end - 1, self._rows - self._size, self._rows - 1, self._counts.copy()))
                self._counts[...] = 0
            start = end
        return closed

    def snapshot(self) -> Fields:
        """Return everything that decides about the future."""
        return {
            "size": self._size,
            "pairs": self._pairs.copy(),
            "rows": self._rows,
            "counts": self._counts.copy(),
        }

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the bank that `snapshot` was taken of."""
        bank = cls(integer(fields, "size"), array(fields, "pairs", np.int64))
        bank._rows = integer(fields, "rows")
        fill({"counts": bank._counts}, fields)
        return bank


@kernel
def _count(codes: CodeArray, pairs: IntArray, counts: IntArray) -> None:
    for pair in range(pairs.shape[0]):
        i, j = pairs[pair, 0], pairs[pair, 1]
        for row in range(codes.shape[0]):
            if codes[row, i] >= 0 and codes[row, j] >= 0:
                counts[pair, codes[row, i], codes[row, j]] += 1
