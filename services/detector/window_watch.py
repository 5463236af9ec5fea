"""Detection windows of cells: when they close, which of them are detections, what they say to an open incident."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import ClassVar, TypeAlias

import msgspec
import numpy as np

from services.detector.banks.closed_windows import ClosedWindows
from services.detector.baseline import Baseline, window_rows
from services.detector.budget import WindowLevels
from services.detector.cell_windows import CellWindows
from services.detector.incidents.drift import Judged
from services.detector.incidents.incident import cell_key
from services.detector.judge import Judge, JudgedWindows
from services.detector.mixes.closed import ClosedMix
from services.detector.pairs.closed import ClosedPairs
from services.detector.report import WindowRow
from services.detector.signals.plan import Signals
from services.detector.state import load, save
from services.detector.statistics.arrays import BoolArray
from services.detector.statistics.distances import psi_contributions
from services.detector.structs import FloatArray, IntArray
from services.detector.trailing import TrailingWatch
from services.detector.window_rows import Span, WindowRows
from shared.events.alert import Bin, Culprit


@dataclass(frozen=True, slots=True)
class Found:
    """What one row brought: a closed window, or a sequential detection, or both empty-handed."""

    row: int
    detected: list[Culprit] = field(default_factory=list)
    onset_row: int = 0
    chance_per_week: float = 1.0
    closed: ClosedWindow | None = None


@dataclass(frozen=True, slots=True)
class Closed:
    """One closed detection window."""

    is_of_pairs: ClassVar[bool] = False
    watch: WindowWatch
    judged: JudgedWindows
    place: int  # of the window among them
    span: Span
    made: Sequence[WindowRow] | None = None  # the rows for people, where they cannot be made later

    @property
    def cell(self) -> int:
        """Return its cell, among those of its watch."""
        return int(self.judged.windows.cell[self.place])

    @property
    def segment(self) -> str:
        """Return the cell's name."""
        return self.watch.baseline.cells[self.cell]

    def says(self) -> list[Judged]:
        """Return what the window says to an open incident, column by column."""
        return self.watch.judged(self)

    def rows(self, renderer: WindowRows) -> Iterable[WindowRow]:
        """Return a row for each series."""
        return renderer.of(self.judged, self.place, self.span) if self.made is None else self.made


ClosedWindow: TypeAlias = Closed | ClosedPairs | ClosedMix


class WindowState(msgspec.Struct):
    """The state beside the bank."""

    weak: np.ndarray  # bool [columns, cells]: the last window passed the weaker threshold
    opened: np.ndarray  # int64 [cells]: served row at which the cell's open window may begin


class WindowWatch:
    """The detection windows of a baseline's cells.

    windows_per_week: how many tests a week are declared, from which `levels` and the chances of detections follow.
    trailing: what windows are compared with in the place of the baseline, once it is known; None: nothing.
    """

    def __init__(
        self,
        baseline: Baseline,
        levels: WindowLevels,
        windows_per_week: float,
        trailing: TrailingWatch | None = None,
    ) -> None:
        self._trailing = trailing
        self.baseline = baseline
        self.judge = Judge(baseline)
        shape = (len(baseline.columns), len(baseline.cells))
        self.state = WindowState(np.zeros(shape, np.bool_), np.zeros(shape[1], np.int64))
        self._is_armed = baseline.arming.reason == 0
        self._held: BoolArray | None = None  # none
        self._phi: FloatArray | None = None  # that of the baseline
        self._gates = np.array([column.gate for column in baseline.columns])
        self._levels, self._windows_per_week = levels, windows_per_week
        self._bank = CellWindows.of(baseline, [window_rows(cell) for cell in range(shape[1])])

    def beside(self, baseline: Baseline) -> WindowWatch:
        """Return the watch of another baseline's cells, under the same levels."""
        return WindowWatch(baseline, self._levels, self._windows_per_week)

    def arm(self, is_armed: BoolArray, held: BoolArray, phi: FloatArray) -> None:
        """Let these cells page from now on, their windows so much overdispersed; all [columns, cells].

        held: those that may not, whatever they are compared with.
        """
        self._is_armed, self._held, self._phi = is_armed, held, phi

    def price(self, levels: WindowLevels, windows_per_week: float) -> None:
        """Go by another number of tests a week."""
        self._levels, self._windows_per_week = levels, windows_per_week

    def served(
        self,
        signals: Signals,
        times: IntArray,
        first_row: int,
        known: Callable[[JudgedWindows, JudgedWindows], JudgedWindows] | None = None,
    ) -> list[Found]:
        """Fold served rows, the first of which is the model's row `first_row`; the windows that they closed.

        times: stream time after each row. known: takes the windows as judged by the baseline, and as judged by what was
        chosen instead; gives them their verdicts by what more is known.
        """
        windows = self.fold(signals)
        if len(windows) == 0:
            return []
        by_baseline = self.judge.judge(windows, self._phi)
        judged = by_baseline if self._trailing is None else self._trailing.judge(by_baseline, times[windows.row])
        return self.closed(judged if known is None else known(by_baseline, judged), first_row)

    def fold(self, signals: Signals) -> ClosedWindows:
        """Fold served rows; return the windows that they closed, which `closed` is to be told of in their order."""
        return self._bank.update(signals)

    def judged(self, closed: Closed) -> list[Judged]:
        """Return what a closed window says to an open incident, column by column."""
        is_armed, verdicts = self._armed(closed.judged)[closed.place], closed.judged.verdicts
        effects, chances = verdicts.psi_debiased[closed.place].tolist(), verdicts.p_value[closed.place].tolist()
        return [
            Judged(
                name=cell_key(column.name, closed.segment),
                p_value=chances[at],
                culprit=partial(self.culprit, closed, at),
                is_armed=bool(is_armed[at]),
                passes_gate=effects[at] >= column.gate,
                is_calm=effects[at] < column.gate / 2,
            )
            for at, column in enumerate(self.baseline.columns)
        ]

    def culprit(self, closed: Closed, at: int, detector: str | None = None, threshold: float | None = None) -> Culprit:
        """Return a closed window's column as an incident names it."""
        windows, verdicts, place, span = closed.judged.windows, closed.judged.verdicts, closed.place, closed.span
        spec, cell = self.baseline.columns[at], closed.cell
        counts, own = windows.counts_of(at)[place], closed.judged.references.get((place, at))
        is_trailing = closed.judged.is_trailing is not None and bool(closed.judged.is_trailing[place, at])
        reference = spec.counts[cell] if own is None else np.rint(own).astype(np.int64)
        parts = psi_contributions(counts, reference) if counts.sum() and reference.sum() else np.zeros(len(counts))
        return Culprit(
            feature=spec.name,
            segment=closed.segment,
            detector=detector or ("psi_trailing" if is_trailing else "psi"),
            statistic="psi_debiased",
            value=float(verdicts.psi_debiased[place, at]),
            noise_floor=float(verdicts.noise_floor[place, at]),
            threshold=spec.gate if threshold is None else threshold,
            p_value=float(verdicts.p_value[place, at]),
            window_rows=int(windows.end_row[place] - windows.start_row[place]) + 1,
            window_start_row=span.first,
            window_end_row=span.last,
            onset_row=span.first,
            bins=[
                Bin(name=name, count=int(count), reference_count=int(before), contribution=float(part))
                for name, count, before, part in zip(spec.bin_names(), counts, reference, parts, strict=True)
            ],
        )

    def closed(self, judged: JudgedWindows, first_row: int) -> list[Found]:
        """Take windows that were closed by rows of which the first is the model's row `first_row`."""
        found: list[Found] = []
        chances, effects = judged.verdicts.p_value, judged.verdicts.psi_debiased
        is_weak = chances < self._levels.running
        is_strong = (effects >= self._gates) & self._armed(judged)
        for place, (row, cell) in enumerate(
            zip(judged.windows.row.tolist(), judged.windows.cell.tolist(), strict=True)
        ):
            closed = Closed(self, judged, place, Span(int(self.state.opened[cell]), first_row + row))
            self.state.opened[cell] = first_row + row + 1
            is_found = (chances[place] < self._levels.single) | (is_weak[place] & self.state.weak[:, cell])
            self.state.weak[:, cell] = is_weak[place]
            detected = np.flatnonzero(is_strong[place] & is_found)
            chance = math.inf if detected.size == 0 else float(chances[place, detected].min()) * self._windows_per_week
            culprits = [self.culprit(closed, at) for at in detected.tolist()]
            found.append(Found(first_row + row, culprits, closed.span.first, chance, closed))
        return found

    def grow(self, baseline: Baseline) -> None:
        """Go on with a baseline that has more cells behind those of before."""
        added = len(baseline.cells) - len(self.baseline.cells)
        self._bank.add_cells([window_rows(cell) for cell in range(len(self.baseline.cells), len(baseline.cells))])
        self.state.weak = np.pad(self.state.weak, ((0, 0), (0, added)))
        self.state.opened = np.pad(self.state.opened, (0, added))
        self.baseline, self.judge, self._is_armed = baseline, Judge(baseline), baseline.arming.reason == 0

    def begin(self, cell: int, row: int) -> None:
        """Begin a cell anew at a served row: nothing is known of it."""
        self._bank.clear(cell)
        self.state.weak[:, cell], self.state.opened[cell] = False, row
        self.reread(cell)

    def reread(self, cell: int) -> None:
        """Compare a cell with what its baseline says by now."""
        self.judge.reread(cell)
        self._is_armed[:, cell] = self.baseline.arming.reason[:, cell] == 0

    def _armed(self, judged: JudgedWindows) -> BoolArray:
        is_armed: BoolArray = self._is_armed[:, judged.windows.cell].T
        if self._trailing is not None:
            is_armed = self._trailing.armed(judged, is_armed)
        if self._held is not None:
            is_armed = is_armed & ~self._held[:, judged.windows.cell].T
        return is_armed

    def snapshot(self) -> bytes:
        """Return the bank of open windows."""
        return save(self._bank)

    def restore(self, state: WindowState, bank: bytes) -> None:
        """Become what gave the snapshot."""
        self.state, self._bank = state, load(CellWindows, bank)
