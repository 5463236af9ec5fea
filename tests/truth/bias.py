"""The debiased PSI of windows without drift, which is nothing in the mean however many levels are rare."""

from __future__ import annotations

import numpy as np

from services.detector.report import ListSink
from tests.truth.experiment import Experiment, Measured, repeated
from tests.truth.streams import Stream, even_segments, zipf
from tests.truth.watching import Prepared, spec_of

CLOSE, RUNS, ROWS = 0.002, 10, 100_000


def mean_of_zipf(seed: int) -> float:
    """Return the mean over 50 Zipf levels in the windows, of 500 rows, of two segments."""
    stream = Stream({"zipf": zipf(50)}, {"segment": even_segments(2)}, per_day=50_000)
    sink = ListSink()
    watched = Prepared(spec_of(stream), stream.reference(seed, ROWS)).watch(sink)
    watched.feed(stream, np.random.default_rng([seed, 2]), ROWS)
    found = [row.verdict_psi_debiased for row in sink.windows if row.signal == "zipf" and row.segment != "all"]
    return float(np.mean([value for value in found if value is not None]))


def _judge(means: list[float], _: float) -> Measured:
    mean = float(np.mean(means))
    return Measured({"mean": mean, "runs": len(means)}, abs(mean) <= CLOSE)


EXPERIMENTS = (
    Experiment(
        "zipf-mean",
        "the debiased PSI of 50 Zipf levels at 500 events without drift is within .002 of 0 in the mean",
        repeated(mean_of_zipf, RUNS),
        _judge,
    ),
)
