"""The cells that the log brings: their windows, and the reference that each learns from its first rows.

They are the cells of a baseline of their own, behind its all traffic: slot 0 is cell 1. A cell is compared with nothing
while its lesson goes on, and with what it has learned from then on: see `lessons.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec
import numpy as np
import pyarrow as pa

from services.detector.admission import Admission, SlotState
from services.detector.banks.closed_windows import ClosedWindows
from services.detector.baseline import Baseline
from services.detector.figures import NewFigures
from services.detector.lessons import Lesson, with_room
from services.detector.report_windows import Reported, ReportState, ReportWindows
from services.detector.segments import Memberships
from services.detector.signals.plan import Signals
from services.detector.statistics.arrays import BoolArray
from services.detector.window_rows import WindowRows
from services.detector.window_watch import Closed, Found, WindowState, WindowWatch
from shared.values import OTHER_LEVEL

LISTED = 20  # learning cells in a heartbeat


class NewCellsState(msgspec.Struct):
    """Everything that decides about the future."""

    slots: SlotState
    windows: WindowState
    bank: bytes
    lessons: dict[int, Lesson]  # by cell
    report: ReportState | None


@dataclass(frozen=True, slots=True)
class Membership:
    """Which cells the rows of a served block are in."""

    cells: Memberships  # [rows, 1 + segmentations] of the baseline; -1 where a new cell has the row
    new: Memberships  # [rows, segmentations] of the new cells; -1 where the baseline has it
    books: Memberships  # [rows, 1 + 2 segmentations] `cells`, and behind them the numbers of new cells after the last
    begun: list[tuple[int, str]]  # numbers of new cells that begin here, with their names


class NewCells:
    """The new cells of one model version.

    Args:
        baseline: the model's.
        watch: its own windows; those of new cells are tested at the same levels, for rows in a new cell are in no other
            of its segmentation, so that there are no more windows than were declared.
        report: rows of report windows where they are not detection's.
    """

    def __init__(
        self, baseline: Baseline, watch: WindowWatch, admission: Admission, version: str, report: int | None
    ) -> None:
        self._whole, self._version = baseline, version
        self.admission, self._first = admission, len(baseline.cells)
        self._baseline = with_room(baseline, 0)
        self._watch = watch.beside(self._baseline)
        self._rows = WindowRows(self._baseline, version)
        self._report = None if report is None else ReportWindows(self._baseline, version, report, self._watch.judge)
        self._lessons: dict[int, Lesson] = {}

    @property
    def names(self) -> list[str]:
        """Return the name of every new cell, cell 1 first; empty where its slot is free."""
        return self._baseline.cells[1 : len(self.admission.state.slots) + 1]

    def armed_segments(self, known: BoolArray) -> float:
        """Return the share of segment cells that may page, new ones included; 0 where there are none.

        known: which of the baseline's may, [columns, segment cells].
        """
        new = sum(int(lesson.armed.sum()) for lesson in self._lessons.values())
        series = known.size + self.admission.taken * len(self._whole.columns)
        return float((np.count_nonzero(known) + new) / max(series, 1))

    def figures(self) -> NewFigures:
        """Return what is shown of them."""
        state = self.admission.state
        return NewFigures(self.admission.taken, self.admission.limit, state.admitted, state.evicted, state.refused)

    @property
    def not_armed(self) -> dict[str, str]:
        """Return which cells have no reference yet, with what they have seen of it, and whether any is free for more.

        At most a few are named.
        """
        learning = [(cell, lesson) for cell, lesson in sorted(self._lessons.items()) if not lesson.is_over]
        found = {self._baseline.cells[cell]: lesson.progress for cell, lesson in learning[:LISTED]}
        more, figures = len(learning) - len(found), self.figures()
        if more:
            found["new segments"] = f"{more} more learn their reference"
        if figures.refused and figures.taken == figures.limit:
            found["newer segments"] = (
                f"no cell is free for them: {figures.refused:,} rows counted in {OTHER_LEVEL} so far"
            )
        return found

    def evict(self, log_time: int) -> list[tuple[int, str]]:
        """Forget the cells whose combinations have not come for long; return their numbers and names."""
        gone: list[tuple[int, str]] = []
        for slot in self.admission.evict(log_time):
            gone.append((self._first + slot, self._baseline.cells[slot + 1]))
            self._baseline.cells[slot + 1] = ""
            del self._lessons[slot + 1]
        return gone

    def place(self, batch: pa.RecordBatch, cells: Memberships, first_row: int, log_time: int) -> Membership:
        """Admit what a served block brings, the first row of which is the model's row `first_row`."""
        placed = self.admission.admit(batch, cells, log_time)
        self._grow(len(self.admission.state.slots))
        begun: list[tuple[int, str]] = []
        for slot, row in placed.begun:
            cell = slot + 1
            self._baseline.cells[cell] = self.admission.label(slot)
            self._lessons[cell] = Lesson.first(self._whole)
            self._lessons[cell].write(self._baseline, cell)
            self._watch.begin(cell, first_row + row)
            if self._report is not None:
                self._report.begin(cell, first_row + row)
            begun.append((self._first + slot, self._baseline.cells[cell]))
        new = np.where(placed.slots >= 0, placed.slots + 1, -1).astype(np.int32)
        return Membership(placed.cells, new, np.column_stack([placed.cells, self._numbers(placed.slots)]), begun)

    def find(self, batch: pa.RecordBatch, cells: Memberships) -> Memberships:
        """Return the cells of rows that were served before, and behind them the numbers of new ones.

        Shape [rows, 1 + 2 segmentations]. A row of a combination that has a new cell by now is in both, for it may have
        been served before.
        """
        return np.column_stack([cells, self._numbers(self.admission.placed(batch, cells).slots)])

    def _numbers(self, slots: Memberships) -> Memberships:
        """Return the numbers of new cells among all, those of the baseline before them; -1 where there is none."""
        return np.where(slots >= 0, self._first + slots, -1).astype(np.int32)

    def served(self, signals: Signals, first_row: int) -> tuple[list[Found], list[Reported]]:
        """Fold served rows, whose `cells` are new ones; return the windows that they closed, in row order."""
        found: list[Found] = []
        told: list[Reported] = []
        if not (signals.cells >= 0).any():
            return found, told
        windows = self._watch.fold(signals)
        reported = None if self._report is None else self._report.fold(signals)
        # Window by window, because a cell that has learned is compared from its next one on.
        for is_detection, window in _in_order(windows, reported):
            judged = self._watch.judge.judge(window)
            if is_detection:
                found += [self._rendered(one) for one in self._watch.closed(judged, first_row)]
                self._learn(window)
            elif self._report is not None:
                told += self._report.rows(judged, first_row)
        return found, told

    def _rendered(self, found: Found) -> Found:
        closed = found.closed
        if not isinstance(closed, Closed):
            return found
        return replace(found, closed=replace(closed, made=list(closed.rows(self._rows))))

    def _learn(self, window: ClosedWindows) -> None:
        cell = int(window.cell[0])
        lesson = self._lessons[cell]
        if not lesson.is_over and lesson.take(window, self._whole):
            lesson.write(self._baseline, cell)
            self._watch.reread(cell)

    def _grow(self, slots: int) -> None:
        """Have room for so many slots: twice as much as before when there is too little."""
        room = len(self._baseline.cells) - 1
        if slots <= room:
            return
        names = self._baseline.cells
        self._baseline = with_room(self._whole, 1 << (slots - 1).bit_length())
        self._baseline.cells[: len(names)] = names
        for cell, lesson in self._lessons.items():
            lesson.write(self._baseline, cell)
        self._watch.grow(self._baseline)
        self._rows = WindowRows(self._baseline, self._version)
        if self._report is not None:
            self._report.grow(self._baseline, self._version)

    def snapshot(self) -> NewCellsState:
        """Return the state."""
        report = None if self._report is None else self._report.snapshot()
        return NewCellsState(self.admission.state, self._watch.state, self._watch.snapshot(), self._lessons, report)

    def restore(self, state: NewCellsState) -> None:
        """Become what gave the snapshot."""
        self.admission.restore(state.slots)
        self._grow(len(state.slots.slots))
        self._lessons = state.lessons
        self._watch.restore(state.windows, state.bank)
        for slot in range(len(state.slots.slots)):
            self._baseline.cells[slot + 1] = self.admission.label(slot)
        for cell, lesson in self._lessons.items():
            lesson.write(self._baseline, cell)
            self._watch.reread(cell)
        if self._report is not None and state.report is not None:
            self._report.restore(state.report)


def _in_order(windows: ClosedWindows, reported: ClosedWindows | None) -> Iterator[tuple[bool, ClosedWindows]]:
    """Yield windows one by one, by the row that closed them; report windows come before those that teach."""
    found = [(int(row), True, place) for place, row in enumerate(windows.row)]
    if reported is not None:
        found += [(int(row), False, place) for place, row in enumerate(reported.row)]
    for _, is_detection, place in sorted(found):
        source = windows if is_detection or reported is None else reported
        yield is_detection, source.part(slice(place, place + 1))
