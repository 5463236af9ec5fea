"""What a version of a model takes in a checkpoint, measured: its watch at work on the reference's own rows."""

from __future__ import annotations

import msgspec
import numpy as np

from services.detector.baseline import Baseline, encode, schema
from services.detector.challengers.watch import largest_state
from services.detector.drift import DriftWatch
from services.detector.outputs import Outputs
from services.detector.reference_batches import reference_batches
from services.detector.reference_table import ReferenceTable
from services.detector.report import NoSink
from services.detector.signals.plan import SignalPlan
from services.detector.stream_time import StreamTime
from services.detector.structs import encode_struct
from services.detector.watch import Watch
from services.detector.watch_options import WatchOptions
from shared.definition import Definition
from shared.durations import UNITS_MS
from shared.events.block import TS
from shared.identity import content_hash
from shared.monitors import ModelSpec
from shared.topics import Topics

ROWS = 20_000  # that are folded; what grows beyond them grows with their logarithm


class StateSize(msgspec.Struct, frozen=True, kw_only=True):
    """Of one version; labels add their counts to it."""

    bytes: int
    series: int  # columns, once for each cell
    bytes_per_series: float  # of what the detectors of drift take
    challengers: int = 0  # bytes at most of the comparison of versions, once for the model


def state_size(baseline: Baseline, spec: ModelSpec, reference: ReferenceTable) -> StateSize:
    """Return what a version takes after the reference's first rows.

    Where columns calibrate, the rows are spread over the week that this takes, at the end of which it holds most.
    """
    fresh = DriftWatch(baseline, spec.alerts.false_pages_per_month)
    idle, at_work = _size(fresh), _size(_folded(baseline, spec, reference))
    series = len(baseline.columns) * len(baseline.cells)
    return StateSize(
        bytes=_whole(baseline, spec) - idle + at_work,
        series=series,
        bytes_per_series=at_work / max(series, 1),
        challengers=0 if spec.challengers is None else largest_state(spec.challengers, baseline.cells[1:]),
    )


def _folded(baseline: Baseline, spec: ModelSpec, reference: ReferenceTable) -> DriftWatch:
    watch, plan, stream = DriftWatch(baseline, spec.alerts.false_pages_per_month), SignalPlan(baseline), StreamTime()
    rows, first_row = min(reference.rows, ROWS), 0
    for batch in reference_batches(reference, rows):
        ts = batch.column(TS).to_numpy()
        if any(baseline.untested):
            ts = np.arange(first_row, first_row + len(ts)) * UNITS_MS["w"] // rows
        watch.served(plan.served(batch), ts, stream.advance(ts), first_row)
        first_row += len(ts)
    return watch


def _whole(baseline: Baseline, spec: ModelSpec) -> int:
    """Return the bytes of a watch before its first row."""
    content, outputs = encode(baseline), Outputs(Topics(), "")
    definition = Definition(
        model=baseline.model, spec=spec, schema=schema(baseline), baseline_hash=content_hash(content)
    )
    return len(Watch(definition, "", 0, content, WatchOptions(outputs, ""), NoSink()).snapshot())


def _size(watch: DriftWatch) -> int:
    return sum(map(len, watch.snapshot())) + len(encode_struct(watch.state))
