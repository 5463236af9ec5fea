"""Backtests of the shipped sets as they are, run once a session."""

from __future__ import annotations

from functools import cache

import msgspec

from services.cli.backtest.lines import merged
from services.cli.backtest.run import Outcome, Published, fold_options, run
from services.cli.publication import Publication
from services.detector.partition import PartitionFold
from services.detector.report import NoSink
from shared.events.alert import AlertEnvelope, Incident, IncidentEvent
from shared.log import Record
from tests.kit.shipped import SETS, baseline, model_spec


@cache
def publication(name: str) -> Publication:
    """Return what a set's configuration publishes."""
    return Publication.of(name, model_spec(name), baseline(name))


@cache
def replayed(name: str) -> Outcome:
    """Return a set's backtest with default windows."""
    lines = merged(SETS / name / "predictions.jsonl.zst", SETS / name / "ground_truth.jsonl.zst")
    return run([publication(name)], lines, id_key="", code_version="test", report_rows=None, progress=lambda _: None)


def fresh_fold(name: str) -> PartitionFold:
    """Return the fold that `replayed` began with."""
    return PartitionFold(0, Published([publication(name)]), fold_options("test", None), NoSink())


def incidents(alerts: list[Record] | tuple[Record, ...]) -> list[tuple[IncidentEvent, Incident]]:
    """Return every incident event, in order."""
    decoded = (msgspec.json.decode(record.value or b"", type=AlertEnvelope) for record in alerts)
    return [
        (alert.type, msgspec.json.decode(alert.data, type=Incident))
        for alert in decoded
        if alert.type is not IncidentEvent.HEARTBEAT
    ]
