"""Calibration on live traffic: which cells may not page yet, and what a week of it has shown of the others.

A reference whose own windows say nothing of live ones (not in time order, too short, of another pace) cannot tell a
season from a drift. Such cells learn from the first seven days of stream time, and until thirty windows have closed;
what they have learned is then frozen, a second baseline beside the reference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np

from services.detector.banks.closed_windows import ClosedWindows
from services.detector.banks.hourly_counts import HourlyCountsBank
from services.detector.banks.windows import WindowBank
from services.detector.baseline import Baseline, window_rows
from services.detector.figures import SeasonFigures
from services.detector.judge import JudgedWindows
from services.detector.seasons.clock import HOURS, SEASONS, hours_of_week
from services.detector.seasons.hourly_ranks import BINS, score_bins
from services.detector.seasons.learned import Learned, Week, compared, conclude, over_gate
from services.detector.seasons.mixture import mixtures
from services.detector.seasons.pace import MEASURED_ROWS, SETTLED_ROWS
from services.detector.seasons.profile import Cycle, Profile, SeasonBound
from services.detector.seasons.sample import KEPT, WindowSample
from services.detector.signals.plan import Signals
from services.detector.state import load, save
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray, IntArray, encode_struct
from shared.durations import UNITS_MS
from shared.identity import content_hash
from shared.values import format_ts

DAYS = 7
NEEDED_WINDOWS = 30
MAX_COUNTS = 1 << 23  # of everything that is gathered of all cells; those beyond do not calibrate
NO_ROOM = "calibrates never: too many segments to calibrate all of them"


class CalibrationState(msgspec.Struct):
    """The state beside the banks."""

    start: int | None  # stream time after the first row
    settled: int | None  # stream time after row SETTLED_ROWS
    measured: int | None  # and after row MEASURED_ROWS
    is_measured: bool  # the live pace is known, or does not matter
    day: int  # whole days since the start at which was last looked whether a cell is done
    restless: np.ndarray  # bool [columns]: a sequential detector fired while it might not page
    learned: dict[int, Learned]  # by cell
    other_pace: str = ""  # than the reference's, and so why every column calibrates; empty where it is not known to be
    rows_per_week: float | None = None  # of live traffic, where the reference does not tell it


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What is kept of the cells that calibrate."""

    counts: HourlyCountsBank
    scores: HourlyCountsBank  # normal scores of numeric columns, of all traffic
    sample: WindowSample
    over: IntArray  # [cells, columns] windows over the gate, against the reference


class Calibration:
    """The calibration of one model version."""

    def __init__(self, baseline: Baseline) -> None:
        self._baseline = baseline
        self._bins = np.array([column.bins for column in baseline.columns], np.int64)
        self._bound: dict[int, list[SeasonBound]] = {}
        for bound in baseline.season_bound:
            self._bound.setdefault(bound.cell, []).append(bound)
        self._gates = np.array([column.gate for column in baseline.columns])
        cells, codes = len(baseline.cells), int(self._bins.sum())
        self._counts_of_cell = HOURS * (codes + 1) + KEPT * (codes + HOURS)
        self._room = min(cells, MAX_COUNTS // self._counts_of_cell)
        self._is_able = (baseline.arming.reason == 0).any(axis=0)  # others would not page once calibrated
        self._clock: WindowBank | None = None
        self._gathered: _Gathered | None = None
        self.state = CalibrationState(
            start=None,
            settled=None,
            measured=None,
            is_measured=baseline.pace is None,
            day=-1,
            restless=np.zeros(len(baseline.columns), np.bool_),
            learned={},
        )

    @property
    def columns(self) -> BoolArray:
        """Return which columns calibrate, or have."""
        return np.array([bool(self._reason(column)) for column in range(len(self._bins))], np.bool_)

    def _reason(self, column: int) -> str:
        """Return why a column calibrates; empty where it does not."""
        return self._baseline.untested[column] or self.state.other_pace

    @property
    def _is_of_any(self) -> bool:
        return bool(self.state.other_pace) or any(self._baseline.untested)

    @property
    def held(self) -> BoolArray:
        """Return which cells may not page yet, [columns, cells]."""
        is_waiting = np.ones(len(self._baseline.cells), np.bool_)
        is_waiting[list(self.state.learned)] = False
        return self.columns[:, None] & is_waiting

    @property
    def phi(self) -> FloatArray:
        """Return the overdispersion of windows, [columns, cells]."""
        phi = self._baseline.arming.phi.copy()
        columns = self.columns
        for cell, learned in self.state.learned.items():
            phi[columns, cell] = learned.phi[columns]
        return phi

    @property
    def unsteady(self) -> BoolArray:
        """Return the cells that not even the hour explains, [columns, cells]; a whole column runs through segments."""
        unsteady = np.zeros(self._baseline.arming.phi.shape, np.bool_)
        for cell, learned in self.state.learned.items():
            unsteady[:, cell] = learned.unsteady
        return unsteady | unsteady[:, :1]

    @property
    def hash(self) -> str | None:
        """Return the content hash of all that is learned; None before."""
        if not self.state.learned:
            return None
        return content_hash(b"".join(encode_struct(learned) for _, learned in sorted(self.state.learned.items())))

    @property
    def all_traffic(self) -> Learned | None:
        """Return what is known of all traffic; None before."""
        return self.state.learned.get(0)

    def why_not(self, column: int, cell: int) -> str:
        """Return why a cell does not page; empty where it does."""
        why = self._baseline.arming.why_not(column, cell)
        if why or not self._reason(column):
            return why
        learned = self.state.learned.get(cell)
        if learned is None:
            if cell >= self._room:
                return NO_ROOM
            return f"calibrates on live traffic {self._until()}: {self._reason(column)}"
        if learned.unsteady[column]:
            return f"unsteady on live traffic: windows differ from their hours by PSI up to {learned.peak[column]:.2g}"
        return "unsteady on all traffic" if self.unsteady[column, cell] else ""

    def _until(self) -> str:
        if self.state.start is None:
            return f"for {DAYS} days"
        if self.state.day >= DAYS:
            return f"until {NEEDED_WINDOWS} windows have closed"
        return f"until {format_ts(self.state.start + DAYS * UNITS_MS['d'])}"

    def figures(self) -> SeasonFigures:
        """Return how full the room is that cells share to calibrate in, and how many columns go by a cycle."""
        cells = range(len(self._baseline.cells))
        return SeasonFigures(
            gathered=0 if self._gathered is None else len(self._waiting()) * self._counts_of_cell,
            without_room=len(cells) - self._room if self._is_of_any else 0,
            profiles=sum(len({found[0] for found in self._seasonal(cell)}) for cell in cells),
            profiles_limit=len(self._bins) * len(cells),
        )

    def parts(self, times: IntArray, first_row: int) -> list[slice]:
        """Return the rows in parts, in each of which the same cells may page; `begin` comes before each."""
        cuts = {0, len(times)}
        if not self.state.is_measured:
            cuts.add(min(max(MEASURED_ROWS - first_row, 0), len(times)))
        if len(times) and (self.state.start is None or not self.state.is_measured or self._gathered is not None):
            start = int(times[0]) if self.state.start is None else self.state.start
            days = (times - start) // UNITS_MS["d"]
            cuts |= set((np.flatnonzero(np.diff(days)) + 1).tolist())
        return [slice(first, last) for first, last in pairwise(sorted(cuts))]

    def begin(self, time: int, row: int) -> bool:
        """Get ready for a row, `time` being stream time after it; return whether other cells may page from now on."""
        state = self.state
        if state.start is None:
            state.start = time
            if not state.is_measured or self._is_of_any or self._bound:
                self._clock = self._new_clock()
        is_changed = not state.is_measured and row >= MEASURED_ROWS
        if is_changed:
            self._measure()
        if self._is_of_any and self._gathered is None and self._waiting():
            self._gathered = self._nothing_gathered()
        day = (time - state.start) // UNITS_MS["d"]
        if self._gathered is None or day <= state.day:
            return is_changed
        state.day = day
        done = self._done() if day >= DAYS else []
        for cell in done:
            self._conclude(cell, row, time)
        return is_changed or bool(done)

    def served(self, signals: Signals, ts: IntArray, times: IntArray, first_row: int) -> ClosedWindows | None:
        """Gather rows; return the clocks of the windows that they closed, None while no clock is kept."""
        if not self.state.is_measured:
            self._note(times, first_row)
        if self._clock is None:
            return None
        hours = hours_of_week(ts)
        if self._gathered is not None:
            self._gathered.counts.update(signals.codes, signals.cells, hours)
            self._gathered.scores.update(score_bins(signals.normal_scores), signals.cells[:, :1], hours)
        return self._clock.update(np.column_stack([season.parts_of(ts) for season in SEASONS]), signals.cells)

    def closed(self, judged: JudgedWindows, clocks: ClosedWindows) -> None:
        """Gather windows, judged by the reference."""
        gathered = self._gathered
        if gathered is None:
            return
        over = over_gate(judged.statistics, self._gates)
        counts = np.column_stack([judged.windows.counts_of(column) for column in range(len(self._bins))])
        hours = clocks.counts_of(0)
        for place, cell in enumerate(judged.windows.cell.tolist()):
            if cell < self._room and cell not in self.state.learned:
                gathered.over[cell] += over[place]
                gathered.sample.add(cell, counts[place], hours[place])

    def by_season(self, judged: JudgedWindows, clocks: ClosedWindows) -> JudgedWindows:
        """Return the windows with the verdicts of their hours or months, for the columns that are judged so."""
        statistics = judged.statistics.copy()
        by_cycle = {season.cycle: clocks.counts_of(at) for at, season in enumerate(SEASONS)}
        references: dict[tuple[int, int], FloatArray] = {}
        for cell in np.unique(judged.windows.cell).tolist():
            windows = np.flatnonzero(judged.windows.cell == cell)
            for column, profile, codes, cycle in self._seasonal(cell):
                mixed = mixtures(profile, by_cycle[cycle][windows], codes)
                counts = judged.windows.counts_of(column)[windows].astype(np.int64)
                ordered = self._baseline.columns[column].is_numeric
                statistics[windows, column] = compared(counts, mixed, ordered=ordered)
                references |= {(window, column): mixed[i] for i, window in enumerate(windows.tolist())}
        return judged.against(references, statistics, self.phi) if references else judged

    def _seasonal(self, cell: int) -> Iterator[tuple[int, Profile, slice, Cycle]]:
        """Yield a cell's columns that go by a cycle: place, profile, the place of its codes in that, and the cycle."""
        for bound in self._bound.get(cell, ()):
            if not self._reason(bound.column):
                yield bound.column, bound.profile, slice(0, int(self._bins[bound.column])), bound.cycle
        learned = self.state.learned.get(cell)
        if learned is not None and learned.profile is not None:
            for column in np.flatnonzero(learned.by_hour).tolist():
                yield column, learned.profile, self._baseline.codes(column), "week"

    def _new_clock(self) -> WindowBank:
        sizes = np.array([window_rows(cell) for cell in range(len(self._baseline.cells))], np.int64)
        return WindowBank(sizes, np.array([season.parts for season in SEASONS]), np.zeros(len(SEASONS), np.int64))

    def _nothing_gathered(self) -> _Gathered:
        cells, columns = len(self._baseline.cells), len(self._bins)
        return _Gathered(
            HourlyCountsBank(cells, self._room, self._bins),
            HourlyCountsBank(1, 1, np.full(len(self._baseline.numeric), BINS)),
            WindowSample(self._room, int(self._bins.sum())),
            np.zeros((self._room, columns), np.int64),
        )

    def _note(self, times: IntArray, first_row: int) -> None:
        state = self.state
        for row, name in ((SETTLED_ROWS, "settled"), (MEASURED_ROWS, "measured")):
            if first_row < row <= first_row + len(times):
                setattr(state, name, int(times[row - 1 - first_row]))

    def _measure(self) -> None:
        """Compare the pace of the first rows with the reference's, once."""
        state, pace = self.state, self._baseline.pace
        state.is_measured = True
        if pace is None or state.settled is None or state.measured is None:
            return
        why = pace.why_other(state.measured - state.settled)
        if why:
            state.other_pace = why
        elif not self._is_of_any and not self._bound:
            self._clock = None

    def _waiting(self) -> list[int]:
        return [cell for cell in range(self._room) if self._is_able[cell] and cell not in self.state.learned]

    def _done(self) -> list[int]:
        gathered = self._gathered
        if gathered is None:
            return []
        return [cell for cell in self._waiting() if gathered.sample.windows[cell] >= NEEDED_WINDOWS]

    def _conclude(self, cell: int, row: int, time: int) -> None:
        """Freeze what is known of a cell."""
        gathered, state = self._gathered, self.state
        if gathered is None or state.start is None:
            return
        sample, clocks = gathered.sample.of(cell)
        week = Week(
            gathered.counts.rows_of(cell),
            gathered.counts.counts_of(cell),
            gathered.scores.counts_of(0)[:, : None if cell == 0 else 0],
            int(gathered.sample.windows[cell]),
            gathered.over[cell],
            sample,
            clocks,
        )
        restless = state.restless if cell == 0 else np.zeros_like(state.restless)
        state.learned[cell] = conclude(cell, week, self._baseline.columns, self.columns, restless)
        gathered.counts.finish(cell)
        gathered.sample.forget(cell)
        if cell == 0 and (state.other_pace or self._baseline.rows_per_week is None):
            state.rows_per_week = row * UNITS_MS["w"] / max(time - state.start, 1)
        if not self._waiting():
            self._gathered = None
            if not self._bound and all(learned.profile is None for learned in state.learned.values()):
                self._clock = None

    def snapshot(self) -> tuple[bytes, ...]:
        """Return the banks; an empty one is none."""
        gathered = self._gathered
        return (
            b"" if self._clock is None else save(self._clock),
            *(
                (b"", b"", b"", b"")
                if gathered is None
                else (save(gathered.counts), save(gathered.scores), save(gathered.sample), gathered.over.tobytes())
            ),
        )

    def restore(self, state: CalibrationState, banks: tuple[bytes, ...]) -> None:
        """Become what gave the snapshot."""
        clock, counts, scores, sample, over = banks
        self.state = state
        self._clock = load(WindowBank, clock) if clock else None
        self._gathered = None
        if counts:
            table = np.frombuffer(over, np.int64).reshape(self._room, len(self._bins)).copy()
            self._gathered = _Gathered(
                load(HourlyCountsBank, counts), load(HourlyCountsBank, scores), load(WindowSample, sample), table
            )
