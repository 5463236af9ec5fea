"""Tumbling windows of the kinds and cells that rules ask for: of a number of rows, or of whole days of stream time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

import msgspec
import numpy as np

from services.detector.banks.closed_windows import ClosedWindows
from services.detector.baseline import Baseline
from services.detector.cell_windows import CellWindows
from services.detector.signals.plan import Signals
from services.detector.state import load, save
from services.detector.structs import IntArray
from services.detector.window_rows import Span
from shared.durations import UNITS_MS
from shared.rules import Every

_ENDLESS = 1 << 62  # rows of a window that only time closes
_MONDAY = 3  # days to add to those since 1970, a Thursday, so that weeks begin on Mondays


@dataclass(frozen=True, slots=True)
class Seen:
    """One closed window."""

    row: int  # the model's served row that was its last
    every: Every
    window: ClosedWindows  # it alone
    span: Span


class WindowsState(msgspec.Struct):
    """What is kept of the windows of one kind."""

    bank: bytes
    opened: list[int]  # by cell of the bank: served row at which its open window may begin
    period: int | None  # of the open windows, where they are of days
    is_whole: bool  # the open period was seen to begin


class RuleWindows:
    """The windows of every (cell, kind) that is asked for."""

    def __init__(self, baseline: Baseline, wanted: Iterable[tuple[int, Every]]) -> None:
        cells: dict[Every, list[int]] = {}
        for cell, every in sorted(set(wanted), key=lambda asked: (asked[1].days, asked[1].events, asked[0])):
            cells.setdefault(every, []).append(cell)
        self._kinds = [_Windows(baseline, every, own) for every, own in cells.items()]

    def served(self, signals: Signals, times: IntArray, first_row: int) -> list[Seen]:
        """Count served rows, the first of which is the model's row `first_row`; return what they closed, by row.

        times: stream time after each row. A day that ends does so at its own last row, the one before the first of the
        next.
        """
        seen = [window for kind in self._kinds for window in kind.served(signals, times, first_row)]
        return sorted(seen, key=lambda window: window.row)

    def snapshot(self) -> list[WindowsState]:
        """Return the state."""
        return [kind.snapshot() for kind in self._kinds]

    def restore(self, states: list[WindowsState]) -> None:
        """Become what gave the snapshot."""
        for kind, state in zip(self._kinds, states, strict=True):
            kind.restore(state)


class _Windows:
    """Windows of one kind. The bank knows only the cells that are asked for, by their place among these."""

    def __init__(self, baseline: Baseline, every: Every, cells: list[int]) -> None:
        self._every = every
        self._cells: IntArray = np.array(cells, np.int64)
        self._places = np.full(len(baseline.cells) + 1, -1, np.int32)  # the last one is that of no cell, -1
        self._places[self._cells] = np.arange(len(cells))
        self._bank = CellWindows.of(baseline, [every.events or _ENDLESS] * len(cells))
        self._opened = [0] * len(cells)
        self._period: int | None = None
        self._is_whole = False

    def served(self, signals: Signals, times: IntArray, first_row: int) -> Iterator[Seen]:
        if not self._every.days:
            yield from self._counted(signals, 0, len(times), first_row)
            return
        periods = _periods(times, self._every.days)
        cuts = [0, *(np.flatnonzero(np.diff(periods)) + 1).tolist(), len(periods)]
        for start, stop in pairwise(cuts):
            if start < stop and self._period != (period := int(periods[start])):
                yield from self._ended(first_row + start - 1)
                self._is_whole, self._period = self._period is not None, period
            yield from self._counted(signals, start, stop, first_row)

    def _counted(self, signals: Signals, start: int, stop: int, first_row: int) -> Iterator[Seen]:
        rows = signals.part(slice(start, stop))
        closed = self._bank.update(replace(rows, cells=self._places[rows.cells]))
        return self._seen(closed, first_row + start)

    def _ended(self, row: int) -> Iterator[Seen]:
        """Close the open period; one that was not seen to begin is no window."""
        seen = list(self._seen(self._bank.close(row), 0))
        self._opened = [row + 1] * len(self._opened)
        return iter(seen if self._is_whole else [])

    def _seen(self, closed: ClosedWindows, first_row: int) -> Iterator[Seen]:
        own = closed.cell
        windows = replace(closed, cell=self._cells[own])
        for place, (row, cell) in enumerate(zip(windows.row.tolist(), own.tolist(), strict=True)):
            span = Span(self._opened[cell], first_row + row)
            self._opened[cell] = first_row + row + 1
            yield Seen(first_row + row, self._every, windows.part(slice(place, place + 1)), span)

    def snapshot(self) -> WindowsState:
        return WindowsState(save(self._bank), self._opened, self._period, self._is_whole)

    def restore(self, state: WindowsState) -> None:
        self._bank, self._opened = load(CellWindows, state.bank), state.opened
        self._period, self._is_whole = state.period, state.is_whole


def _periods(times: IntArray, days: int) -> IntArray:
    """Return the number of the period that each time is in."""
    return (times // UNITS_MS["d"] + (_MONDAY if days > 1 else 0)) // days
