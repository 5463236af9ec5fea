"""What an update costs as series become many and old: ADWIN, Page-Hinkley and windows, each in a bank of its own.

A series is a numeric column in a cell, an update one value of it. Banks of 10 to 10,000 series take a block of at most
2,000 rows each; so do banks of 10 series whose next event is the first and the ten-millionth. Windows take blocks until
each of them has closed. Values do not drift, so that ADWIN's windows hold everything; like the detector's, every series
begins with 2,000 events of the past. A ratio is
of the three banks together: the dearest number of series to the cheapest, the old series to the new ones or these to
those, whichever cost more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from typing import Any

import numpy as np

from services.cli.bench.figure import Figure, Measure, Place
from services.cli.bench.growth import KINDS, SIZES, Block, Kind, blocks, ratio, rows
from services.cli.bench.turns import in_turns
from services.detector.sequential import WARM_ROWS
from shared.adapters.process import collect_rarely

ROUNDS = 15
FEW = SIZES[0]
OLD_EVENTS = 10_000_000
DISTINCT_BLOCKS = 4  # that are drawn; a past is made of them over and over
SERIES = tuple(str(size) for size in SIZES)
EVENTS = ("first", "last")


class ScaleBench:
    """Nanoseconds an update, and how far they lie apart."""

    needs_stack = False
    figures = (
        Figure(
            name="scale.series.ratio",
            unit="ratio",
            what=f"an update at the dearest of {', '.join(f'{size:,}' for size in SIZES)} series to the cheapest",
            limit=1.2,
        ),
        Figure(
            name="scale.events.ratio", unit="ratio", what=f"an update at event {OLD_EVENTS:,} to the first", limit=1.2
        ),
        *(
            Figure(name=f"scale.{kind.name}.{size}", unit="ns", what=f"an update of {kind.name}, {size:,} series")
            for kind in KINDS
            for size in SIZES
        ),
        *(
            Figure(name=f"scale.{kind.name}.{which}", unit="ns", what=f"an update of {kind.name} at event {at:,}")
            for kind in KINDS
            for which, at in zip(EVENTS, (1, OLD_EVENTS), strict=True)
        ),
    )

    @contextmanager
    def ready(self, place: Place) -> Iterator[Measure]:  # noqa: ARG002 - sizes and ages are what is measured
        """Fold the past of every bank, ten million rows of the old ones."""
        subjects = [
            subject
            for kind in KINDS
            for subject in (
                *(_subject(kind, str(size), size, WARM_ROWS) for size in SIZES),
                _subject(kind, EVENTS[0], FEW, WARM_ROWS),
                _subject(kind, EVENTS[1], FEW, OLD_EVENTS - 1),
            )
        ]
        with collect_rarely():
            yield partial(_measure, subjects)


BENCH = ScaleBench()


@dataclass(frozen=True, slots=True)
class _Subject:
    """A bank with a past, and its next blocks."""

    kind: str
    place: str  # what it is compared as
    bank: Any
    blocks: list[Block]
    updates: int

    def ready(self) -> Callable[[], object]:
        """Return the updates of a copy."""
        bank = type(self.bank).restore(self.bank.snapshot())

        def work() -> None:
            for block in self.blocks:
                bank.update(*block)

        return work


def _subject(kind: Kind, place: str, series: int, past: int) -> _Subject:
    draw = np.random.default_rng(0)
    bank, count, measured = kind.bank(series), rows(kind, series), blocks(kind, series)
    drawn = [kind.block(draw, count, series) for _ in range(DISTINCT_BLOCKS)]
    whole, rest = divmod(kind.rows(series, past), count)
    for block in islice(cycle(drawn), whole):
        bank.update(*block)
    bank.update(*(table[:rest] for table in drawn[0]))
    following = list(islice(cycle(reversed(drawn)), measured))
    return _Subject(kind.name, place, bank, following, measured * count * kind.in_a_row(series))


def _measure(subjects: list[_Subject]) -> Mapping[str, float]:
    seconds = in_turns(time.thread_time, ROUNDS, *(subject.ready for subject in subjects))
    costs = {
        (subject.kind, subject.place): took / subject.updates * 1e9
        for subject, took in zip(subjects, seconds, strict=True)
    }
    return {
        "scale.series.ratio": ratio(costs, SERIES),
        "scale.events.ratio": ratio(costs, EVENTS),
        **{f"scale.{kind}.{place}": cost for (kind, place), cost in costs.items()},
    }
