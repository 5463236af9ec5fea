"""Closed windows one by one, as tests read them."""

from __future__ import annotations

from typing import NamedTuple

from services.detector.banks.closed_windows import ClosedWindows


class Window(NamedTuple):
    """One closed window."""

    row: int
    cell: int
    start_row: int
    end_row: int
    counts: list[list[int]]  # per column
    missing: list[int]
    unseen: list[int]
    grid: list[list[int]]


def each(windows: ClosedWindows) -> list[Window]:
    """Return the windows in their order."""
    columns = range(windows.missing.shape[1])
    return [
        Window(
            int(windows.row[i]),
            int(windows.cell[i]),
            int(windows.start_row[i]),
            int(windows.end_row[i]),
            [windows.counts_of(column)[i].tolist() for column in columns],
            windows.missing[i].tolist(),
            windows.unseen[i].tolist(),
            [windows.grid_of(column)[i].tolist() for column in columns],
        )
        for i in range(len(windows))
    ]
