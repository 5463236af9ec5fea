"""The reference that a cell learns from its own first rows, and the baseline that it is kept in."""

from __future__ import annotations

from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from services.detector.banks.closed_windows import ClosedWindows
from services.detector.baseline import ALL, WINDOW_SEGMENT, Arming, Baseline, Column
from services.detector.selftest import REFERENCE_WINDOWS, own_windows
from services.detector.statistics.verdict import pool
from services.detector.structs import CodeArray, IntArray

NEW = "not in the reference"

Number = TypeVar("Number", bound=np.generic)


class Lesson(msgspec.Struct):
    """What the first windows of a cell held, over the codes of all columns side by side.

    It is over with as many windows as a reference must hold; from then on nothing changes.
    """

    windows: list[np.ndarray]  # int32 [codes] of each, until it is over
    counts: np.ndarray  # int64 [codes]
    grid: np.ndarray  # int64 [grid codes]
    missing: np.ndarray  # int64 [columns]
    phi: np.ndarray  # float64 [columns], and what follows: known when it is over
    armed: np.ndarray  # bool [columns]
    is_over: bool = False

    @classmethod
    def first(cls, baseline: Baseline) -> Lesson:
        """Return the lesson of a cell without rows."""
        columns = baseline.columns
        codes = sum(column.bins for column in columns) + 2 * len(baseline.ranged)
        return cls(
            windows=[],
            counts=np.zeros(codes, np.int64),
            grid=np.zeros(sum(column.grid_counts.shape[1] for column in columns), np.int64),
            missing=np.zeros(len(columns), np.int64),
            phi=np.ones(len(columns)),
            armed=np.zeros(len(columns), np.bool_),
        )

    @property
    def progress(self) -> str:
        """Return how far it is, as heartbeats say."""
        return f"new: {len(self.windows)} of the {REFERENCE_WINDOWS} windows of its reference"

    def take(self, window: ClosedWindows, baseline: Baseline) -> bool:
        """Take the cell's next window, the only one of `window`; tell whether the lesson is over with it.

        A column is armed where it is on all traffic from the first row on, and where the cell's windows neither differ
        from one another by more than the column's gate nor hold one value alone.
        """
        self.windows.append(window.counts[0].astype(np.int32))
        self.counts += window.counts[0]
        self.grid += window.grid[0]
        self.missing += window.missing[0, : self.missing.size]
        if len(self.windows) < REFERENCE_WINDOWS:
            return False
        codes = 0
        for at, column in enumerate(baseline.columns):
            of_column = slice(codes, codes + column.bins)
            codes += column.bins
            counts = [one[of_column] for one in self.windows]
            self.phi[at], is_steady = _own(counts, self.counts[of_column], column)
            self.armed[at] = is_steady and not baseline.why_not_yet(at, 0)
        self.windows, self.is_over = [], True
        return True

    def write(self, baseline: Baseline, cell: int) -> None:
        """Have a baseline say of a cell what the lesson has taught; nothing, while it goes on."""
        known, arming = int(self.is_over), baseline.arming
        codes = grid = 0
        for at, column in enumerate(baseline.columns):
            column.counts[cell] = known * self.counts[codes : codes + column.bins]
            column.grid_counts[cell] = known * self.grid[grid : grid + column.grid_counts.shape[1]]
            column.missing[cell] = known * self.missing[at]
            codes, grid = codes + column.bins, grid + column.grid_counts.shape[1]
        arming.reason[:, cell] = np.where(self.armed, 0, len(arming.reasons))
        arming.phi[:, cell] = self.phi
        baseline.cell_rows[cell] = known * REFERENCE_WINDOWS * WINDOW_SEGMENT


def _own(windows: list[CodeArray], reference: IntArray, column: Column) -> tuple[float, bool]:
    """Return the overdispersion of a column's first windows, and whether they are steady enough to page by."""
    codes = np.full((len(windows), WINDOW_SEGMENT), -1, np.int32)
    for place, counts in enumerate(windows):
        codes[place, : counts.sum()] = np.repeat(np.arange(len(counts)), counts)
    own = own_windows(codes.ravel(), WINDOW_SEGMENT, reference, ordered=column.is_numeric, gate=column.gate)
    groups = pool(reference, WINDOW_SEGMENT, ordered=column.is_numeric)
    return own.phi, not own.is_unsteady and bool(groups.max(initial=0) > 0)


def with_room(baseline: Baseline, cells: int) -> Baseline:
    """Return a baseline of all traffic and of so many cells of which nothing is known, for lessons to be written in."""
    arming = baseline.arming
    reasons = [*arming.reasons, NEW]
    columns = [
        msgspec.structs.replace(
            column,
            counts=_room(column.counts, cells),
            missing=_room(column.missing, cells),
            grid_counts=_room(column.grid_counts, cells),
        )
        for column in baseline.columns
    ]
    return msgspec.structs.replace(
        baseline,
        columns=columns,
        segmentations=[],
        cells=[ALL, *[""] * cells],
        cell_rows=_room(baseline.cell_rows, cells),
        arming=Arming(
            reason=_room(arming.reason.T, cells, len(reasons)).T,
            reasons=reasons,
            phi=_room(arming.phi.T, cells, 1).T,
            peak=_room(arming.peak.T, cells).T,
            unsteady=_room(arming.unsteady.T, cells).T,
        ),
    )


def _room(table: npt.NDArray[Number], cells: int, usual: float = 0) -> npt.NDArray[Number]:
    """Return the first row of a table, that of all traffic, and usual ones behind it."""
    found = np.full((1 + cells, *table.shape[1:]), usual, table.dtype)
    found[0] = table[0]
    return found
