"""E-detectors on small references: how often their deciles, which are not quite the truth, alarm without drift."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
from scipy.stats import norm

from services.detector.banks.e_detector import EDetectorBank
from tests.truth.experiment import Case, Experiment, Measured

RUN_LENGTH = 1.47e10  # events per false alarm: half an alert a week over 1,050 streams at a million rows a day
REFERENCE_ROWS, REFERENCES, TOGETHER, EVENTS = (5_000, 20_000), 60, 10, 1_000_000
DRAWN_AT_ONCE = 50_000
MIN_EVENTS = 200


def alarms(rows: int, seed: int, scale: float) -> int:
    """Return the alarms of e-detectors on the deciles of ten references, over drift-free events."""
    rng = np.random.default_rng([seed, rows])
    edges = [np.quantile(rng.normal(size=rows), np.arange(1, 10) / 10) for _ in range(TOGETHER)]
    counts = [np.full(10, rows // 10) for _ in edges]
    bank = EDetectorBank.of_references(counts, [True] * TOGETHER, np.full(TOGETHER, math.log(RUN_LENGTH)), MIN_EVENTS)
    bounds = [norm.cdf(cut) for cut in edges]
    found, left = 0, round(EVENTS * scale)
    while left:
        count = min(left, DRAWN_AT_ONCE)
        codes = [np.searchsorted(bound, rng.random(count)).astype(np.int32) for bound in bounds]
        found += len(bank.update(np.column_stack(codes)))
        left -= count
    return found


def _cases(scale: float) -> Sequence[Case]:
    runs = range(REFERENCES // TOGETHER)
    return [partial(alarms, rows, seed, scale) for rows in REFERENCE_ROWS for seed in runs]


def _judge(found: list[int], scale: float) -> Measured:
    events = len(found) * TOGETHER * round(EVENTS * scale)
    return Measured({"alarms": sum(found), "million_events": events / 1e6}, sum(found) == 0)


EXPERIMENTS = (
    Experiment(
        "fast-path",
        "e-detectors on 60 references of 5,000 and of 20,000 rows, a million drift-free events each: no alarm",
        _cases,
        _judge,
    ),
)
