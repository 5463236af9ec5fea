"""A change of known size: how many events until it pages, or until windows alone would have."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from tests.truth.experiment import Experiment, Measured, repeated
from tests.truth.models import DELAY_STREAM, SEGMENTS, prepared_for_delays, warm_up
from tests.truth.shifts import mean_shift, one_category, spread
from tests.truth.streams import Rows, Stream, category, normal, segment_of
from tests.truth.watching import Watched

PSI = 0.2
RUNS = 100
MOST_ROWS = 10_000  # after the change; then it counts as never found
MOST_ROWS_OF_SEGMENT = 100_000
STEP = 100  # rows of a block after the change
NUMBER, LEVELS = "number-1", "twenty-0"
SEGMENT = 0


def _changed(shape: str) -> Stream:
    match shape:
        case "mean":
            return DELAY_STREAM.but({NUMBER: normal(mean_shift(PSI))})
        case "spread":
            return DELAY_STREAM.but({NUMBER: normal(0.0, spread(PSI))})
        case "category":
            return DELAY_STREAM.but({LEVELS: category(one_category(np.full(20, 0.05), PSI))})
        case _:
            return DELAY_STREAM.but({NUMBER: _in_one_segment})


def _in_one_segment(rng: np.random.Generator, rows: Rows) -> pa.Array:
    moved = segment_of(rows.numbers, SEGMENTS) == SEGMENT
    return pa.array(rng.normal(0.0, 1.0, rows.count) + np.where(moved, mean_shift(PSI), 0.0))


def delay(shape: str, seed: int) -> float:
    """Return the events from a change on all traffic to its page; infinite if there is none, NaN if one came before."""
    watched, start, rng = _before(seed)
    watched.feed(_changed(shape), rng, MOST_ROWS, cut=STEP, until=lambda: bool(watched.pages))
    return _events(watched, start, lambda row: row + 1 - start)


def delay_of_windows(seed: int) -> float:
    """Return the events, to the hundred, from a shift of the mean to the first window that detects it."""
    watched, start, rng = _before(seed)
    watched.feed(_changed("mean"), rng, MOST_ROWS, cut=STEP, until=lambda: watched.detections("psi") > 0)
    return float(watched.rows - start) if watched.detections("psi") else math.inf


def delay_in_segment(seed: int) -> float:
    """Return the segment's own events from a change in it to its page."""
    watched, start, rng = _before(seed)
    watched.feed(_changed("segment"), rng, MOST_ROWS_OF_SEGMENT, cut=500, until=lambda: bool(watched.pages))
    return _events(watched, start, lambda row: int((segment_of(np.arange(start, row + 1), SEGMENTS) == SEGMENT).sum()))


def _before(seed: int) -> tuple[Watched, int, np.random.Generator]:
    watched, rng = prepared_for_delays().watch(), np.random.default_rng([seed, 3])
    start = warm_up(rng)
    watched.feed(DELAY_STREAM, rng, start)
    return watched, start, rng


def _events(watched: Watched, start: int, count: Callable[[int], int]) -> float:
    if not watched.pages:
        return math.inf
    row = watched.pages[0].detected.row
    return math.nan if row < start else float(count(row))


def median_within(limit: int) -> Callable[[list[float], float], Measured]:
    """Return the judge of delays whose median is promised; no run may page before its change."""

    def judge(delays: list[float], _: float) -> Measured:
        early = sum(math.isnan(found) for found in delays)
        later = sorted(found for found in delays if not math.isnan(found)) or [math.inf]
        median, p90 = (float(np.quantile(later, q, method="inverted_cdf")) for q in (0.5, 0.9))
        figures = {"median": median, "p90": p90, "early": early, "runs": len(delays)}
        return Measured(figures, median <= limit and not early)

    return judge


def _experiment(name: str, promise: str, limit: int, case: Callable[..., float], *arguments: object) -> Experiment:
    return Experiment(
        f"delay-{name}", f"{promise}: median {limit:,} events", repeated(case, RUNS, *arguments), median_within(limit)
    )


EXPERIMENTS = (
    _experiment("mean", "PSI .2 by the mean, all traffic", 450, delay, "mean"),
    _experiment("spread", "PSI .2 by the spread, all traffic", 650, delay, "spread"),
    _experiment("category", "PSI .2 by one category, all traffic", 650, delay, "category"),
    _experiment("windows", "PSI .2 by the mean, windows alone", 2_500, delay_of_windows),
    _experiment("segment", "PSI .2 by the mean in a segment of 5 %, its own events", 1_250, delay_in_segment),
)
