"""How many bytes a series takes in the detector's state, uncompressed.

A series is a numeric column in a cell: the dearest kind, as it has a fine histogram, and on all traffic ADWIN and
Page-Hinkley besides. Four watches fold the same events: with 14 numeric features and with 7 of them, each with two
dimensions and their cross and without any. Their snapshots are what a checkpoint holds of them. The first two without
segments differ by 7 series of all traffic; what the segments add to one and to the other differs by 7 series of every
segment. What a watch has once, or once a segment, cancels out: `state.watch` is all of it. The open window of all
traffic is half full, as on average.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

from services.cli.adapters.bench.folds import Folds
from services.cli.bench import loans
from services.cli.bench.figure import Figure, Measure, Place
from services.cli.bench.series_state import WatchSizes, of_all_traffic, of_segment
from services.detector.baseline import WINDOW_ALL
from shared.events.block import MAX_ROWS
from shared.monitors import ModelSpec

LEFT_OUT = loans.NUMERIC[:7]
ALL_TRAFFIC = msgspec.structs.replace(loans.SPEC, segments=[])


class StateBench:
    """Bytes."""

    needs_stack = False
    figures = (
        Figure(
            name="state.segment",
            unit="bytes",
            what="state per numeric series of a segment, uncompressed",
            limit=2_560.0,
        ),
        Figure(name="state.all", unit="bytes", what="state per numeric series of all traffic", limit=3_584.0),
        Figure(name="state.watch", unit="bytes", what="state of a model version, 20 features, 17 segments"),
    )

    @contextmanager
    def ready(self, place: Place) -> Iterator[Measure]:
        """Fold the events, served and labelled; bytes are the same in every run."""
        found = _sizes(place)
        yield lambda: found


BENCH = StateBench()


def _sizes(place: Place) -> Mapping[str, float]:
    whole, without = (
        WatchSizes(*(_bytes(place, spec, left_out) for spec in (ALL_TRAFFIC, loans.SPEC)))
        for left_out in ((), LEFT_OUT)
    )
    segments = len(Folds(place.settings).baseline.cells) - 1
    return {
        "state.segment": of_segment(whole, without, len(LEFT_OUT), segments),
        "state.all": of_all_traffic(whole, without, len(LEFT_OUT)),
        "state.watch": float(whole.segmented),
    }


def _bytes(place: Place, spec: ModelSpec, left_out: Sequence[str]) -> int:
    folds = Folds(place.settings, loans.publication(spec, loans.reference().drop_columns(list(left_out))))
    full = place.events // 2 // WINDOW_ALL * WINDOW_ALL
    observations, _ = folds.join(folds.halves(full + WINDOW_ALL // 2, MAX_ROWS))
    return len(folds.watched(observations).snapshot())
