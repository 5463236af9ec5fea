"""The loop that the detector's step is compared with keeps the state of the step."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from river import drift

from services.cli.bench import loans
from services.cli.bench.event_loop import EventLoop, Window
from services.cli.bench.step import Step
from services.detector.banks.closed_windows import ClosedWindows
from services.detector.banks.windows import WindowBank
from services.detector.baseline import Baseline, decode
from services.detector.state import array
from shared.events.block import FEATURE_PREFIX, PREDICTION, SCORE, SEGMENT_PREFIX

SPEC = msgspec.structs.replace(loans.SPEC, segments=["salary_range", "repaid_before"])
ROWS = 1_700  # more than a window of all traffic, and than one of the largest segments
KINDS: Any = drift


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return decode(loans.publication(SPEC, loans.reference(4_000)).baseline)


@pytest.fixture(scope="module")
def step(baseline: Baseline) -> Step:
    step = Step(baseline)
    table = loans.served(ROWS)
    columns = {
        **{f"{FEATURE_PREFIX}{name}": table[name] for name in (*loans.NUMERIC, *loans.CATEGORICAL)},
        **{f"{SEGMENT_PREFIX}{name}": table[name] for name in SPEC.dimensions},
        PREDICTION: table["prediction"].cast(pa.string()),
        SCORE: table["score_1"],
    }
    for batch in pa.table(columns).combine_chunks().to_batches(max_chunksize=700):
        step.fold(batch)
    return step


@pytest.fixture(scope="module")
def loop(baseline: Baseline) -> EventLoop:
    loop = EventLoop(baseline, KINDS.ADWIN, KINDS.PageHinkley)
    for event in loans.decoded(ROWS, SPEC):
        loop.fold(event)
    return loop


def test_events_and_blocks_are_of_three_cells_a_row(baseline: Baseline) -> None:
    assert len(baseline.segmentations) == 2
    assert {tuple(segmentation.dimensions) for segmentation in baseline.segmentations} == {
        ("salary_range",),
        ("repaid_before",),
    }


def test_adwin_has_the_same_windows(step: Step, loop: EventLoop) -> None:
    state = step.adwin.snapshot()

    assert array(state, "width", np.float64).tolist() == [adwin.width for adwin in loop.adwin]
    assert array(state, "total", np.float64).tolist() == pytest.approx([adwin.total for adwin in loop.adwin])


def test_histograms_have_the_same_counts(baseline: Baseline, step: Step, loop: EventLoop) -> None:
    open_windows = _open_windows(step)

    for column in range(len(baseline.columns)):
        expected = [_counts(baseline, window)[column] for window in loop.windows if window.filled]
        assert open_windows.counts_of(column).tolist() == expected
    for series, column in enumerate(baseline.numeric):
        expected = [window.grid[series] for window in loop.windows if window.filled]
        assert open_windows.grid_of(column).tolist() == expected


def test_moments_are_the_same(step: Step, loop: EventLoop) -> None:
    found = _open_windows(step).moments

    for name in ("events", "mean", "squares", "minimum", "maximum"):
        theirs = [[getattr(moments, name) for moments in window.moments] for window in loop.windows if window.filled]
        np.testing.assert_allclose(getattr(found, name), theirs, rtol=1e-9)


def _open_windows(step: Step) -> ClosedWindows:
    """Return the open window of every cell that has rows; nothing is missing in any and nothing unseen."""
    return WindowBank.restore(step.windows.snapshot()).close(0)


def _counts(baseline: Baseline, window: Window) -> list[list[int]]:
    """Return the counts of a window, column by column."""
    numbers, texts = iter(window.bins), iter(window.levels)
    found: list[list[int]] = []
    for column in baseline.columns:
        if column.is_numeric:
            found.append(next(numbers))
        else:
            levels = next(texts)
            found.append([levels.get(name, 0) for name in column.levels])
    return found
