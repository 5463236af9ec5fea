"""What metrics cost beside the monitors of errors, and what a cohort takes while its labels are still coming.

The model has three segment dimensions, so a labelled row is counted in four cohorts. `performance.ratio` compares what
it adds to them (counts, sums, and the scores behind areas under curves) with what the monitors of errors take: flags,
the newest labels by their ages, and the detectors. Both need what labels say of predictions, which is found once and
counts for the monitors. The two take turns in one process; time is the thread's own. What a metric then is, is computed
once a cohort, not once a row: `performance.final`.

A cohort takes most when all its scores are distinct, so those of the last two figures are: one is what a checkpoint
holds of a cohort, the other what a process does, counted on many and told per million.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from services.cli.adapters.bench.folds import Folds
from services.cli.bench import loans
from services.cli.bench.figure import Figure, Measure, Place
from services.cli.bench.labelled import SPEC, LabelledLog, LabelledWork, OpenCohorts
from services.cli.bench.turns import in_turns
from services.detector.baseline import Baseline
from shared.adapters.process import collect_rarely
from shared.events.block import MAX_ROWS, decode

ROUNDS = 3
CELLS, COHORTS = 50, 40
MILLION = 1_000_000


class PerformanceBench:
    """Ratios, microseconds and bytes."""

    needs_stack = False
    figures = (
        Figure(
            name="performance.ratio",
            unit="ratio",
            what="a labelled row in the metrics of four cohorts to the same row in the monitors of errors",
            limit=3.0,
        ),
        Figure(name="performance.metrics", unit="us", what="a labelled row in the metrics of four cohorts"),
        Figure(name="performance.monitors", unit="us", what="a labelled row in the monitors of errors"),
        Figure(
            name="performance.final", unit="us", what="all metrics of a cohort with their intervals, once it is final"
        ),
        Figure(name="performance.cohort", unit="bytes", what="state per open cohort, uncompressed", limit=8_192.0),
        Figure(name="performance.open_cells", unit="GB", what="memory of a million open cohorts", limit=8.0),
    )

    @contextmanager
    def ready(self, place: Place) -> Iterator[Measure]:
        """Make the observations."""
        folds = Folds(place.settings, loans.publication(SPEC))
        observations, _ = folds.join(folds.halves(place.events // 2, MAX_ROWS))
        baseline, log = folds.baseline, LabelledLog.of([decode(record) for record in observations])
        sizes = _sizes(baseline)
        with collect_rarely():
            yield lambda: _speed(LabelledWork(baseline, log), log.rows) | sizes


BENCH = PerformanceBench()


def _speed(work: LabelledWork, rows: int) -> dict[str, float]:
    def counting() -> Callable[[], object]:
        return partial(work.count, work.cohorts())

    def ending() -> Callable[[], object]:
        cohorts = work.cohorts()
        work.count(cohorts)
        return partial(work.finals, cohorts)

    def listening() -> tuple[object, object]:
        return work.signals(), work.monitors()

    metrics, monitors, final = in_turns(time.thread_time, ROUNDS, counting, lambda: listening, ending)
    cohorts = sum(len(book.predicted) for book in work.cohorts().state.cells)
    return {
        "performance.ratio": metrics / monitors,
        "performance.metrics": metrics / rows * 1e6,
        "performance.monitors": monitors / rows * 1e6,
        "performance.final": final / cohorts * 1e6,
    }


def _sizes(baseline: Baseline) -> dict[str, float]:
    """Return what open cohorts take; the same in every run."""
    open_cohorts = OpenCohorts(baseline, CELLS, COHORTS)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        held = open_cohorts.build()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    return {
        "performance.cohort": open_cohorts.state_bytes(held) / open_cohorts.count,
        "performance.open_cells": taken / open_cohorts.count * MILLION / 1e9,
    }
