"""What the detector writes: alerts, the compacted view of open incidents, and window profiles."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import msgspec

from services.detector.figures import Told
from services.detector.report import CohortRow, EstimateRow, FairnessRow, WindowRow
from services.detector.serving.period import ServingRow
from shared.events.alert import (
    CLOSING,
    OF_CHALLENGERS,
    ComparisonAlert,
    Heartbeat,
    HeartbeatAlert,
    Incident,
    IncidentAlert,
    IncidentEvent,
)
from shared.events.cloudevent import CONTENT_TYPE
from shared.events.comparison import Comparison
from shared.identity import model_partition
from shared.log import Outgoing
from shared.topics import Topics
from shared.values import format_ts


@dataclass(frozen=True, slots=True)
class Outputs:
    """Renders the detector's events for one installation; counts in `told` what it rendered."""

    topics: Topics
    installation: str
    told: Told = field(default_factory=Told, compare=False, repr=False)

    @property
    def source(self) -> str:
        """Return the CloudEvents source."""
        return f"/driftline/{self.installation}/detector"

    def incident(self, event: IncidentEvent, number: int, data: Incident, time_ms: int) -> list[Outgoing]:
        """Return the alert and the incident's new latest state; `number` counts the incident's events from 0."""
        self.told.alerts[event.name.lower()] += 1
        alert = IncidentAlert(
            id=_event_id(data.incident_id, event.value, str(number)),
            source=self.source,
            type=event.value,
            subject=data.model,
            time=format_ts(time_ms),
            data=data,
        )
        value = msgspec.json.encode(alert)
        return [
            self._alert(data.model, value, time_ms),
            Outgoing(
                topic=self.topics.incidents,
                key=data.incident_id.encode(),
                value=None if event in CLOSING else value,
                partition=model_partition(data.model, self.topics.alerts_partitions),
                headers=CONTENT_TYPE,
                timestamp_ms=time_ms,
            ),
        ]

    def heartbeat(self, data: Heartbeat, period: int, time_ms: int) -> Outgoing:
        """Return a heartbeat; `period` is the number of whole heartbeats of log time since 1970."""
        self.told.alerts[IncidentEvent.HEARTBEAT.name.lower()] += 1
        alert = HeartbeatAlert(
            id=_event_id(data.model, IncidentEvent.HEARTBEAT.value, str(period)),
            source=self.source,
            type=IncidentEvent.HEARTBEAT.value,
            subject=data.model,
            time=format_ts(time_ms),
            data=data,
        )
        return self._alert(data.model, msgspec.json.encode(alert), time_ms)

    def comparison(self, data: Comparison, number: int, time_ms: int) -> Outgoing:
        """Return how a challenger stands; `number` counts the comparison's events from 0."""
        event = OF_CHALLENGERS[data.verdict]
        self.told.alerts[event.name.lower()] += 1
        alert = ComparisonAlert(
            id=_event_id(data.comparison_id, event.value, str(number)),
            source=self.source,
            type=event.value,
            subject=data.model,
            time=format_ts(time_ms),
            data=data,
        )
        return self._alert(data.model, msgspec.json.encode(alert), time_ms)

    def profile(self, row: WindowRow, time_ms: int) -> Outgoing:
        """Return one window's statistics; the key names its series."""
        return Outgoing(
            topic=self.topics.profiles,
            key=f"{row.model}/{row.model_version}/{row.signal}/{row.segment}".encode(),
            value=msgspec.json.encode(row),
            partition=model_partition(row.model, self.topics.observations_partitions),
            timestamp_ms=time_ms,
        )

    def cohort(self, row: CohortRow | EstimateRow, time_ms: int) -> Outgoing:
        """Return what labels say of a final cohort, or what is expected of a full one; the key names its segment."""
        what = "performance" if isinstance(row, CohortRow) else "estimate"
        return Outgoing(
            topic=self.topics.profiles,
            key=f"{row.model}/{row.model_version}/{what}/{row.segment}".encode(),
            value=msgspec.json.encode(row),
            partition=model_partition(row.model, self.topics.observations_partitions),
            timestamp_ms=time_ms,
        )

    def serving(self, row: ServingRow, time_ms: int) -> Outgoing:
        """Return what the model's own service did in some hours."""
        return Outgoing(
            topic=self.topics.profiles,
            key=f"{row.model}/{row.model_version}/serving".encode(),
            value=msgspec.json.encode(row),
            partition=model_partition(row.model, self.topics.observations_partitions),
            timestamp_ms=time_ms,
        )

    def fairness(self, row: FairnessRow, time_ms: int) -> Outgoing:
        """Return how unequal a protected dimension's groups are; the key names the dimension."""
        return Outgoing(
            topic=self.topics.profiles,
            key=f"{row.model}/{row.model_version}/fairness/{row.dimension}".encode(),
            value=msgspec.json.encode(row),
            partition=model_partition(row.model, self.topics.observations_partitions),
            timestamp_ms=time_ms,
        )

    def _alert(self, model: str, value: bytes, time_ms: int) -> Outgoing:
        return Outgoing(
            topic=self.topics.alerts,
            key=model.encode(),
            value=value,
            partition=model_partition(model, self.topics.alerts_partitions),
            headers=CONTENT_TYPE,
            timestamp_ms=time_ms,
        )


def _event_id(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
