"""The loop that the detector's step is compared with keeps the state of the step."""

from __future__ import annotations

from itertools import chain
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from river import drift

from services.cli.bench import loans
from services.cli.bench.event_loop import EventLoop, Window
from services.cli.bench.step import Step
from services.detector.baseline import Baseline, decode
from services.detector.state import Fields, array
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
    state = step.windows.snapshot()

    assert _side_by_side(state, "counts") == [_counts(baseline, window) for window in loop.windows]
    assert _side_by_side(state, "grid") == [list(chain.from_iterable(window.grid)) for window in loop.windows]


def test_moments_are_the_same(step: Step, loop: EventLoop) -> None:
    state = step.moments.snapshot()

    for name in ("events", "mean", "squares", "minimum", "maximum"):
        dtype = np.int64 if name == "events" else np.float64
        theirs = [[getattr(moments, name) for moments in window.moments] for window in loop.windows]
        np.testing.assert_allclose(array(state, name, dtype), theirs, rtol=1e-9)


def _side_by_side(state: Fields, name: str) -> list[list[int]]:
    """Return the counts of each cell's open window, column by column; nothing is missing and nothing unseen."""
    widths = array(state, {"counts": "bins", "grid": "grid_bins"}[name], np.int64)
    counts: list[list[int]] = array(state, name, np.uint16)[:, : int(widths.sum())].tolist()
    return counts


def _counts(baseline: Baseline, window: Window) -> list[int]:
    numbers, texts = iter(window.bins), iter(window.levels)
    found: list[int] = []
    for column in baseline.columns:
        if column.is_numeric:
            found += next(numbers)
        else:
            levels = next(texts)
            found += [levels.get(name, 0) for name in column.levels]
    return found
