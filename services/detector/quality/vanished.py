"""Categories that come no more, though they were usual: each row without one is evidence, and one with it ends it.

Of n rows, none has a category of share p with a chance of (1 - p)^n. A category is watched where a window expects
`EXPECTED` rows of it, which is n ln(1/(1 - p)), and is gone when it has not come in `WINDOWS` windows: with a chance
below e^-60 at each row. By then a drift of the column is told of, where it may be. Where the reference's own rows come
in clusters, a run without the category may be longer there, and is no event here either.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from services.detector.banks.compiled import dense, kernel
from services.detector.baseline import Column, window_rows
from services.detector.quality.flags import knows_levels
from services.detector.quality.reference import QualityReference, Statistic, UsualLevels
from services.detector.segments import Memberships
from services.detector.signals.columns import Codes
from services.detector.statistics.arrays import BoolArray
from services.detector.statistics.proportions import wilson
from services.detector.structs import CodeArray, IntArray
from shared.values import MISSING_LEVEL, OTHER_LEVEL

EXPECTED = 30.0  # rows of a category in a window
WINDOWS = 2  # without one: in them there is a whole window of rows after any change
ERRORS = 2.0  # standard errors of the reference's share
COMES_AND_GOES = "comes and goes in the reference itself"
_NOT_KEPT = (MISSING_LEVEL, OTHER_LEVEL)
ROWS_AT_A_TIME = 1 << 16  # of the reference, side by side
_NONE, _NEVER = -1, 1 << 62
_TOLD = 64  # events that are taken out of the loop at a time, or those of one row


class Event(NamedTuple):
    """A category that is gone in a cell, or is there again."""

    row: int  # among those taken
    cell: int
    slot: int
    last_row: int  # the model's row that had it last; the one before the first that could where none did
    run: int  # rows of the cell with a value, since
    is_gone: bool


class VanishedState(msgspec.Struct):
    """What is known of each category that is watched."""

    known: np.ndarray  # int64 [cells, columns] rows with a value
    due: np.ndarray  # int64 [cells, columns] of them until a category can be gone
    last: np.ndarray  # int64 [cells, slots] of them when a category came last
    last_row: np.ndarray  # int64 [cells, slots] the model's row
    is_gone: np.ndarray  # bool [cells, slots]


class _Plan(NamedTuple):
    place: IntArray  # of each column among the codes
    missing: IntArray  # its code for no value
    slot: IntArray  # [columns, codes] of each code; -1 where it is not watched
    first: IntArray  # [columns + 1] slot
    limit: IntArray  # [cells, slots] rows with a value that make it gone; 0 where it is not watched
    is_watched: BoolArray  # [cells]


class VanishedBank:
    """All usual categories of a model version, in every cell."""

    def __init__(self, columns: Sequence[Column], usual: UsualLevels) -> None:
        places = sorted(set(usual.place.tolist()))
        by_column = [np.flatnonzero(usual.place == place) for place in places]
        slot = np.full((len(places), max((columns[place].bins + 1 for place in places), default=1)), _NONE, np.int64)
        for at, slots in enumerate(by_column):
            slot[at, usual.code[slots]] = slots
        levels = [columns[place].levels for place in places]
        missing = [found.index(MISSING_LEVEL) if MISSING_LEVEL in found else _NONE for found in levels]
        self._plan = _Plan(
            place=np.array(places, np.int64),
            missing=np.array(missing, np.int64),
            slot=slot,
            first=np.cumsum([0, *(len(slots) for slots in by_column)]),
            limit=usual.limit.astype(np.int64),
            is_watched=np.array((usual.limit > 0).any(axis=1), np.bool_),
        )
        cells, slots = usual.limit.shape
        known, due = np.zeros((2, cells, len(places)), np.int64)
        last, last_row = np.zeros((2, cells, slots), np.int64)
        self.state = VanishedState(known, due, last, last_row - 1, np.zeros((cells, slots), np.bool_))

    def take(self, codes: Codes, cells: Memberships, first_row: int) -> Iterator[Event]:
        """Take rows, the first of which is the model's row `first_row`; what is gone or there again, in row order."""
        if not self._plan.place.size:
            return
        start, rows, kept = 0, len(codes), self.state
        codes, cells = dense(codes, np.int32), dense(cells, np.int32)
        arrays = kept.known, kept.due, kept.last, kept.last_row, kept.is_gone
        most = 2 * cells.shape[1] * self._plan.limit.shape[1]
        found = np.empty((max(_TOLD, most), 6), np.int64)
        while start < rows:
            start, count = _take(codes, cells, start, first_row, self._plan, *arrays, most, found)
            for row, cell, slot, last_row, run, is_gone in found[:count].tolist():
                yield Event(row, cell, slot, last_row, run, bool(is_gone))


def usual_levels(
    columns: Sequence[Column], codes: Sequence[Codes], memberships: Memberships, cells: int
) -> UsualLevels:
    """Return which categories are watched in which cells, and how many rows without one make it gone.

    codes, memberships: of each column the bin, and the cells, of the reference's rows in their order. A category is
    watched where a window holds `EXPECTED` rows of it, and where the reference's own rows never lacked it for half as
    long as is allowed; that may be twice as long as chance alone says.
    """
    place, code, limits = [], [], []
    for at, column in enumerate(columns):
        if column.role != "feature" or not knows_levels(column):
            continue
        for number, level in enumerate(column.levels):
            limit = [0 if level in _NOT_KEPT else _rows_to_be_gone(column, number, cell) for cell in range(cells)]
            if any(limit):
                place.append(at)
                code.append(number)
                limits.append(limit)
    usual = UsualLevels(
        place=np.array(place, np.int64),
        code=np.array(code, np.int64),
        limit=np.array(limits, np.int32).reshape(len(place), cells).T.copy(),
    )
    for slot in _lacking(columns, usual, codes, memberships, usual.limit // 2):
        usual.limit[slot] *= 2
    for slot in _lacking(columns, usual, codes, memberships, usual.limit):
        usual.limit[slot] = 0
    return usual


def least_share(cell: int) -> float:
    """Return the smallest share of a cell's rows that a category has which is watched."""
    return EXPECTED / window_rows(cell)


def self_test(reference: QualityReference, columns: Sequence[Column]) -> dict[str, dict[str, str]]:
    """Return of each statistic what is watched on all traffic, and why it does not page; empty text: it does."""
    found: dict[str, dict[str, str]] = {}
    for check in reference.checks:
        found.setdefault(check.statistic, {})[check.feature] = check.reason
    usual = reference.usual
    for place, code, limit in zip(usual.place.tolist(), usual.code.tolist(), usual.limit[0].tolist(), strict=True):
        column = columns[place]
        if limit or _rows_to_be_gone(column, code, 0):
            name = f"{column.name}={column.levels[code]}"
            found.setdefault(Statistic.VANISHED, {})[name] = "" if limit else COMES_AND_GOES
    return found


def why_not(reference: QualityReference, columns: Sequence[Column]) -> dict[str, str]:
    """Return the shares of all traffic that do not page, with the reason."""
    tested = self_test(reference, columns).items()
    return {f"{statistic} of {name}": why for statistic, shares in tested for name, why in shares.items() if why}


def _rows_to_be_gone(column: Column, code: int, cell: int) -> int:
    """Return how many rows without a category are too many; 0 where a window may hold few of it."""
    rows = int(column.counts[cell].sum())
    least = wilson(int(column.counts[cell, code]), rows, ERRORS)[0] if rows else 0.0
    if not 0.0 < least < 1.0:
        return 0
    window = window_rows(cell)
    return WINDOWS * window if window * -math.log1p(-least) >= EXPECTED else 0


def _lacking(
    columns: Sequence[Column],
    usual: UsualLevels,
    codes: Sequence[Codes],
    memberships: Memberships,
    limit: CodeArray,
) -> list[tuple[int, int]]:
    """Return the cells and slots that the reference lacks in so many rows with a value."""
    bank = VanishedBank(columns, UsualLevels(place=usual.place, code=usual.code, limit=limit))
    found: set[tuple[int, int]] = set()
    for start in range(0, len(memberships) if usual.place.size else 0, ROWS_AT_A_TIME):
        part = slice(start, start + ROWS_AT_A_TIME)
        coded = np.column_stack([code[part] for code in codes])
        found |= {(event.cell, event.slot) for event in bank.take(coded, memberships[part], start)}
    return sorted(found)


@kernel
def _take(
    codes: Codes,
    cells: Memberships,
    start: int,
    first_row: int,
    plan: _Plan,
    known: IntArray,
    due: IntArray,
    last: IntArray,
    last_row: IntArray,
    is_gone: BoolArray,
    most: int,
    found: IntArray,
) -> tuple[int, int]:
    """Take rows from `start` on; return the row to go on with, as `found` has room for `most` of each, and how many."""
    count = 0
    for row in range(start, codes.shape[0]):
        if count + most > found.shape[0]:
            return row, count
        for membership in range(cells.shape[1]):
            cell = cells[row, membership]
            if cell < 0 or not plan.is_watched[cell]:
                continue
            for column in range(plan.place.shape[0]):
                code = codes[row, plan.place[column]]
                if code < 0 or code == plan.missing[column]:
                    continue
                known[cell, column] += 1
                seen, slot = known[cell, column], plan.slot[column, code]
                if slot >= 0 and plan.limit[cell, slot] > 0:
                    if is_gone[cell, slot]:
                        _tell(found, count, row, cell, slot, last_row[cell, slot], seen - last[cell, slot], False)
                        count += 1
                        is_gone[cell, slot] = False
                        due[cell, column] = min(due[cell, column], seen + plan.limit[cell, slot])
                    last[cell, slot], last_row[cell, slot] = seen, first_row + row
                if seen < due[cell, column]:
                    continue
                due[cell, column] = _NEVER
                for slot in range(plan.first[column], plan.first[column + 1]):
                    limit, run = plan.limit[cell, slot], seen - last[cell, slot]
                    if limit == 0 or is_gone[cell, slot]:
                        continue
                    if run >= limit:
                        _tell(found, count, row, cell, slot, last_row[cell, slot], run, True)
                        count += 1
                        is_gone[cell, slot] = True
                    else:
                        due[cell, column] = min(due[cell, column], last[cell, slot] + limit)
    return codes.shape[0], count


@kernel
def _tell(found: IntArray, place: int, row: int, cell: int, slot: int, last_row: int, run: int, is_gone: bool) -> None:
    found[place, 0], found[place, 1], found[place, 2] = row, cell, slot
    found[place, 3], found[place, 4], found[place, 5] = last_row, run, is_gone
