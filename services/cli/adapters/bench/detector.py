"""What a row costs the detector's fold, served and labelled ones in equal parts, in full blocks and in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from services.cli.adapters.bench.folds import Folds
from services.cli.bench.figure import Figure, Measure, Place
from shared.adapters.process import collect_rarely
from shared.events.block import MAX_ROWS


class DetectorBench:
    """Microseconds a row."""

    needs_stack = False
    figures = (
        Figure(name="detector.row", unit="us/row", what="detector's fold, 20 features, 2 dimensions and their cross"),
    )

    @contextmanager
    def ready(self, place: Place) -> Iterator[Measure]:
        """Make the observations."""
        folds = Folds(place.settings)
        log = folds.halves(place.events // 2, MAX_ROWS)
        observations, _ = folds.join(log)
        with collect_rarely():
            yield lambda: {"detector.row": folds.detect(observations) / (place.events // 2 * 2) * 1e6}


BENCH = DetectorBench()
