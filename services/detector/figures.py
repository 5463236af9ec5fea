"""What is shown of a model version that is watched: sizes, shares and what was dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.detector.performance.metrics.value import Metrics
from services.detector.report import CohortRow, EstimateRow
from services.detector.serving.period import ServingRow
from shared.events.alert import IncidentKind


@dataclass(frozen=True, slots=True)
class Ring:
    """A memory of the newest entries: how many it holds, the most it may hold, and how many older ones it dropped."""

    entries: int
    limit: int
    dropped: int


@dataclass(frozen=True, slots=True)
class NewFigures:
    """The cells that the log brought: how many there are, may be and were, and what found no place."""

    taken: int
    limit: int
    admitted: int
    evicted: int
    refused: int  # memberships of served rows


@dataclass(frozen=True, slots=True)
class SeasonFigures:
    """What is gathered of cells that calibrate, and what goes by a cycle."""

    gathered: int  # counts
    without_room: int  # cells that calibrate and for whose counts there is none
    profiles: int  # columns of cells that go by the hour or the month
    profiles_limit: int


@dataclass(frozen=True, slots=True)
class Figures:
    """One model version, as it stands between two blocks."""

    rows_served: int
    rows_labelled: int
    rows_other: int  # memberships of served rows in `__other__` cells
    cells: int
    new_cells: NewFigures
    seasons: SeasonFigures
    columns_not_armed: int
    armed_all_traffic: float
    armed_segments: float
    faulted: int
    stream_time_ms: int | None
    open_incidents: list[IncidentKind]  # the leading kind of each
    performance: CohortRow | None  # of all traffic, the newest of which labels say something
    estimate: EstimateRow | None  # of the newest full cohort of all traffic
    rings: Mapping[str, Ring]
    serving: ServingRow | None = None  # the newest period of the model's own service
    rows_failed: int = 0  # predictions that told of an error
    fairness: Mapping[str, Metrics] = field(default_factory=dict)  # by protected dimension, newest
    fairness_groups: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """What the process has found and said; nothing is decided by it."""

    alerts: Counter[str] = field(default_factory=Counter)  # by event
    detections: Counter[str] = field(default_factory=Counter)  # by detector
