"""Rows that come again: the same features as one of the rows before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from services.detector.banks.compiled import dense, kernel
from services.detector.baseline import Column
from services.detector.quality.flags import Flags, knows_levels
from services.detector.signals.columns import MISSING, Codes
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray, IntArray
from shared.values import MISSING_LEVEL

REMEMBERED = 1_000  # rows back that a repeated row is looked for
SELDOM = 0.5  # share of a window's rows

Hashes = npt.NDArray[np.uint64]
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(32)
_NAN_BITS = np.uint64(0x7FF8000000000000)


class Contents(NamedTuple):
    """The columns that a row is the same in: features whose levels are known by name.

    A row says nothing where a level is not known, and where a value is missing that seldom is: rows of which little is
    left are soon alike.
    """

    place: IntArray  # among the codes, or among the numbers
    is_number: BoolArray
    missing: IntArray  # the code of its level for no value
    unknown: IntArray  # the code of levels that the reference does not hold
    is_needed: BoolArray  # seldom missing

    @classmethod
    def of(cls, columns: Sequence[Column]) -> Contents:
        """Return what is looked at of the columns of a baseline."""
        series = {place: series for series, place in enumerate(p for p, c in enumerate(columns) if c.is_numeric)}
        used = [(p, c) for p, c in enumerate(columns) if c.role == "feature" and (c.is_numeric or knows_levels(c))]
        levels = [c.levels.index(MISSING_LEVEL) if MISSING_LEVEL in c.levels else MISSING for _, c in used]
        return cls(
            place=np.array([series.get(place, place) for place, _ in used], np.int64),
            is_number=np.array([column.is_numeric for _, column in used], np.bool_),
            missing=np.array(levels, np.int64),
            unknown=np.array([column.bins for _, column in used], np.int64),
            is_needed=np.array([column.missing_peak < SELDOM for _, column in used], np.bool_),
        )

    def hashes(self, codes: Codes, values: FloatArray) -> tuple[Hashes, BoolArray]:
        """Return a hash of each row, and which rows say nothing.

        codes: [rows, columns]; values: [rows, numeric columns].
        """
        found, is_empty = np.empty(len(codes), np.uint64), np.empty(len(codes), np.bool_)
        values = dense(values, np.float64)
        _hash(dense(codes, np.int32), values, values.view(np.uint64), self, found, is_empty)
        return found, is_empty


class Repeats(msgspec.Struct):
    """The contents of the last rows: a row whose content is among them is there again."""

    recent: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(REMEMBERED, np.uint64))  # oldest first
    rows: int = 0  # so far

    def flags(self, hashes: Hashes, is_empty: BoolArray) -> Flags:
        """Take rows in order; return which of them are there again, -1 of those that say nothing."""
        known = min(self.rows, REMEMBERED)
        row = np.concatenate([self.recent[REMEMBERED - known :], hashes])
        found = np.empty(len(hashes), np.int8)
        _repeat(row, is_empty, np.zeros(1 << (2 * len(row)).bit_length(), np.int64), found)
        self.recent = np.concatenate([self.recent, hashes])[-REMEMBERED:].copy()
        self.rows += len(hashes)
        return found


@kernel
def _hash(
    codes: Codes, values: FloatArray, bits: Hashes, contents: Contents, found: Hashes, is_empty: BoolArray
) -> None:
    for row in range(found.shape[0]):
        content, says_nothing = np.uint64(0), False
        for i in range(contents.place.shape[0]):
            place = contents.place[i]
            if contents.is_number[i]:
                is_gone = math.isnan(values[row, place])
                part = _NAN_BITS if is_gone else bits[row, place]
            else:
                code = codes[row, place]
                is_gone = code < 0 or code == contents.missing[i]
                says_nothing |= code == contents.unknown[i]
                part = np.uint64(np.int64(code))
            says_nothing |= is_gone and contents.is_needed[i]
            content = (content ^ part) * _MULTIPLIER
            content ^= content >> _SHIFT
        found[row], is_empty[row] = content, says_nothing


@kernel
def _repeat(hashes: Hashes, is_empty: BoolArray, slots: IntArray, found: Flags) -> None:
    """Look each row up among those before; `slots`: as many zeros as a power of two, more than rows."""
    mask, known = np.uint64(slots.shape[0] - 1), hashes.shape[0] - found.shape[0]
    for row in range(hashes.shape[0]):
        slot = np.int64(hashes[row] & mask)
        while slots[slot] != 0 and hashes[slots[slot] - 1] != hashes[row]:
            slot = (slot + 1) & np.int64(mask)
        if row >= known:
            is_again = slots[slot] != 0 and row + 1 - slots[slot] <= REMEMBERED
            found[row - known] = -1 if is_empty[row - known] else is_again
        slots[slot] = row + 1
