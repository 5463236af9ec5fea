"""Rare answers that become less rare, and a mean that creeps: too little for a window, too much to be missed."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa

from shared.events.block import PREDICTION
from tests.truth.experiment import Experiment, Measured, repeated
from tests.truth.models import REFERENCE_DAYS, warm_up
from tests.truth.shifts import mean_shift
from tests.truth.streams import DAY_MS, START_MS, Law, Rows, Stream, even_segments, levels, normal
from tests.truth.watching import Prepared, spec_of

RUNS = 20
MOST_ROWS = 30_000
CALM_DAYS, CREEP_DAYS, HELD_DAYS = 3, 10, 5
CREEP_PSI = 0.06


def positives(rate: float) -> Law:
    """Return answers, `1` with that rate."""
    return lambda rng, rows: levels((rng.random(rows.count) < rate).astype(np.int64), ("0", "1"))


def rise(before: float, after: float, seed: int) -> float:
    """Return the events from a rise of the positive rate to its page; infinite if there is none."""
    columns: dict[str, Law] = {f"number-{i}": normal() for i in range(5)}
    stream = Stream(columns | {PREDICTION: positives(before)}, {"segment": even_segments(4)}, per_day=100_000)
    reference = stream.reference(seed, round(REFERENCE_DAYS * stream.per_day))
    watched, rng = Prepared(spec_of(stream), reference).watch(), np.random.default_rng([seed, 3])
    start = warm_up(rng)
    watched.feed(stream, rng, start)
    watched.feed(stream.but({PREDICTION: positives(after)}), rng, MOST_ROWS, until=lambda: bool(watched.pages))
    return _since(watched.pages[0].detected.row, start) if watched.pages else math.inf


def creep(seed: int) -> float:
    """Return the days from the start of a creep of ten days to its page; infinite if there is none."""
    goal = mean_shift(CREEP_PSI)

    def creeping(rng: np.random.Generator, rows: Rows) -> pa.Array:
        days = (rows.ts - START_MS) / DAY_MS - CALM_DAYS
        return pa.array(rng.normal(0.0, 1.0, rows.count) + goal * np.clip(days / CREEP_DAYS, 0.0, 1.0))

    columns: dict[str, Law] = {f"number-{i}": normal() for i in range(5)}
    stream = Stream(columns, {"segment": even_segments(4)}, per_day=20_000)
    watched = Prepared(spec_of(stream), stream.reference(seed, 100_000)).watch()
    rng, days = np.random.default_rng([seed, 3]), CALM_DAYS + CREEP_DAYS + HELD_DAYS
    rows = round(days * stream.per_day)
    watched.feed(stream.but({"number-0": creeping}), rng, rows, until=lambda: bool(watched.pages))
    start = round(CALM_DAYS * stream.per_day)
    return _since(watched.pages[0].detected.row, start) / stream.per_day if watched.pages else math.inf


def _since(row: int, start: int) -> float:
    return math.nan if row < start else float(row + 1 - start)


def _all_found(found: list[float], _: float) -> Measured:
    pages = sum(math.isfinite(one) for one in found)
    median = sorted(one if math.isfinite(one) else math.inf for one in found)[len(found) // 2]
    return Measured({"found": pages, "runs": len(found), "median": median}, pages == len(found))


EXPERIMENTS = (
    Experiment("fraud-rate", "positives from .2 % to 2 % page", repeated(rise, RUNS, 0.002, 0.02), _all_found),
    Experiment("positive-rate", "positives from 5 % to 10 % page", repeated(rise, RUNS, 0.05, 0.1), _all_found),
    Experiment(
        "slow-drift",
        "a mean that creeps by PSI .06 in ten days pages within 5 more days",
        repeated(creep, 10),
        _all_found,
    ),
)
