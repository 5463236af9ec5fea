"""What is said of a model each whole heartbeat: that it is watched, and what of it is not."""

from __future__ import annotations

from collections.abc import Sequence

from services.detector.warming import WarmingWatch
from services.detector.watch import Watch
from services.detector.watchdogs.fold import Watchdogs
from shared.events.alert import Heartbeat, NotWatched, Unwatched
from shared.values import format_ts


def heartbeat(model: str, versions: Sequence[Watch | WarmingWatch], watchdogs: Watchdogs, log_time: int) -> Heartbeat:
    """Return a model's heartbeat; the newest of its versions, the last one, is described, and rows are those of all."""
    newest = versions[-1]
    idle = newest.not_watched()
    faulted = {name: why for watch in versions for name, why in watch.faulted.items()}
    return Heartbeat(
        model=model,
        model_version=newest.model_version,
        log_time=format_ts(log_time),
        stream_time=None if newest.stream_time is None else format_ts(newest.stream_time),
        rows_served=sum(watch.rows_served for watch in versions),
        rows_labelled=sum(watch.rows_labelled for watch in versions),
        open_incidents=[
            *(incident for watch in versions for incident in watch.open_incidents()),
            *watchdogs.open_incidents(model),
        ],
        armed_all_traffic=newest.armed_all_traffic,
        armed_segments=newest.armed_segments,
        not_armed=idle[Unwatched.COLUMN] | idle.get(Unwatched.SEGMENT, {}),
        faulted=faulted,
        configuration_version=newest.configuration_version,
        not_watched=[
            *(
                NotWatched(kind=kind, what=what, why=why)
                for kind, reasons in (idle | {Unwatched.DETECTOR: faulted}).items()
                for what, why in reasons.items()
            ),
            *watchdogs.not_watched(model, newest.definition.spec.watchdog),
        ],
        profile_hash=None if isinstance(newest, WarmingWatch) else newest.drift.calibration.hash,
    )
