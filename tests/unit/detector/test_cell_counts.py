"""Windows of cells, counted row by row."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.quality.counts import CellCounts
from services.detector.quality.flags import NOTHING
from services.detector.window_rows import Span

ROWS, SIZES = 997, np.array([100, 40, 40])
RNG = np.random.default_rng(4)
FLAGS = RNG.choice(np.array([NOTHING, 0, 1], np.int8), (3, ROWS), p=[0.1, 0.7, 0.2])
FLAGS[1] = 0
CELLS = np.column_stack([np.zeros(ROWS), RNG.choice([-1, 1, 2], ROWS)]).astype(np.int32)

Told = tuple[int, int, int, list[int], list[int]]


def counted(cut: int) -> list[Told]:
    counts, found = CellCounts.of(SIZES, 3), list[Told]()
    for start in range(0, ROWS, cut):
        for cell, span, amiss, known in counts.take(FLAGS[:, start : start + cut], CELLS[start : start + cut], start):
            found.append((cell, span.first, span.last, amiss.tolist(), known.tolist()))
    return found


def test_a_window_holds_the_rows_of_its_cell() -> None:
    found = counted(ROWS)

    for cell, size in enumerate(SIZES.tolist()):
        rows = np.flatnonzero(np.equal(CELLS, cell).any(axis=1))
        windows = [rows[start : start + size] for start in range(0, len(rows) - size + 1, size)]
        assert [told for told in found if told[0] == cell] == [
            (
                cell,
                window[0],
                window[-1],
                (FLAGS[:, window] == 1).sum(axis=1).tolist(),
                (FLAGS[:, window] != NOTHING).sum(axis=1).tolist(),
            )
            for window in windows
        ]


def test_windows_come_in_the_order_in_which_they_close() -> None:
    last = [told[2] for told in counted(ROWS)]

    assert last == sorted(last)


@pytest.mark.parametrize("cut", [1, 39, 40, 500])
def test_how_rows_are_cut_changes_no_window(cut: int) -> None:
    assert counted(cut) == counted(ROWS)


def test_a_window_that_its_counts_cannot_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 32767 rows"):
        CellCounts.of(np.array([32_768]), 1)


def test_a_cell_that_is_added_counts_like_one_that_was_there() -> None:
    grown, whole = CellCounts.of(SIZES[:2], 3), CellCounts.of(SIZES, 3)
    grown.grow([40])

    for counts in (grown, whole):
        list(counts.take(FLAGS, CELLS, 0))

    assert grown.counts.tolist() == whole.counts.tolist()
    assert (grown.rows.tolist(), grown.first.tolist()) == (whole.rows.tolist(), whole.first.tolist())


def test_a_cell_that_is_cleared_begins_anew() -> None:
    counts = CellCounts.of(SIZES, 3)
    list(counts.take(FLAGS[:, :30], CELLS[:30], 0))
    counts.clear(0)

    (closed,) = [one for one in counts.take(FLAGS[:, 30:130], CELLS[30:130], 30) if one.cell == 0]
    assert closed.span == Span(30, 129)
