"""The detector's step over full blocks against the same work event by event, with an object of river for each series.

The work: ranks and normal scores of numeric columns into ADWIN and Page-Hinkley; histograms, fine ones and moments of
every column in three cells a row, all traffic and the values of two dimensions; 20 features, the prediction and its
score. Neither side judges windows. The step takes blocks as the detector reads them, the loop decoded events, and
decoding is not counted. `engine.fold` is the detector's whole fold of the same blocks: decoding, verdicts on closed
windows, their profiles and cohorts besides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import msgspec
import pyarrow as pa
from river import drift

from services.cli.adapters.bench.folds import Folds
from services.cli.bench import loans
from services.cli.bench.event_loop import Event, EventLoop
from services.cli.bench.figure import Figure, Measure, Place
from services.cli.bench.step import Step
from services.cli.bench.turns import in_turns
from services.detector.baseline import Baseline
from shared.adapters.process import collect_rarely
from shared.events.block import decode
from shared.log import Record

SPEC = msgspec.structs.replace(loans.SPEC, segments=["salary_range", "repaid_before"])
ROUNDS = 3
LOOP_SHARE = 10  # the loop takes one event in so many: it is that much slower


class EngineBench:
    """Microseconds an event, and how many times faster the step is."""

    needs_stack = False
    figures = (
        Figure(
            name="engine.ratio",
            unit="ratio",
            what="events/s of the detector's step to those of a loop with river's objects",
            floor=15.0,
        ),
        Figure(name="engine.step", unit="us", what="an event in the detector's step, signals and banks, full blocks"),
        Figure(name="engine.loop", unit="us", what="an event in the loop with river's objects"),
        Figure(name="engine.fold", unit="us", what="an event in the detector's whole fold, verdicts included"),
    )

    @contextmanager
    def ready(self, place: Place) -> Iterator[Measure]:
        """Make the blocks and the events."""
        folds = Folds(place.settings, loans.publication(SPEC))
        blocks = folds.served(place.events)
        events = list(loans.decoded(place.events // LOOP_SHARE, SPEC))
        with collect_rarely():
            yield partial(_measure, folds, blocks, events)


BENCH = EngineBench()


def _measure(folds: Folds, blocks: Sequence[Record], events: Sequence[Event]) -> Mapping[str, float]:
    baseline = folds.baseline
    batches = [block.batch for block in map(decode, blocks) if block.batch is not None]
    rows = sum(batch.num_rows for batch in batches)
    seconds = in_turns(
        time.thread_time,
        ROUNDS,
        partial(_step, baseline, batches),
        partial(_loop, baseline, events),
        lambda: partial(folds.detect, blocks),
    )
    step, loop, fold = (took / count * 1e6 for took, count in zip(seconds, (rows, len(events), rows), strict=True))
    return {"engine.ratio": loop / step, "engine.step": step, "engine.loop": loop, "engine.fold": fold}


def _step(baseline: Baseline, batches: Sequence[pa.RecordBatch]) -> Callable[[], object]:
    step = Step(baseline)

    def work() -> None:
        for batch in batches:
            step.fold(batch)

    return work


def _loop(baseline: Baseline, events: Sequence[Event]) -> Callable[[], object]:
    loop = EventLoop(baseline, drift.ADWIN, drift.PageHinkley)

    def work() -> None:
        for event in events:
            loop.fold(event)

    return work
