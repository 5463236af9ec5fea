"""What the pipeline said: the fold of its alerts, retraining decisions and dead letters."""

from __future__ import annotations

from collections import Counter

import msgspec

from shared.errors import Malformed
from shared.events.alert import Culprit, Incident, IncidentEvent, decode_alert
from shared.events.dead_letter import DeadLetter
from shared.events.retraining import Retraining, RetrainingEvent, RetrainingState
from shared.identity import content_hash
from shared.log import Record
from shared.topics import Topics
from shared.unreadable import UNREADABLE


class IncidentLine(msgspec.Struct, frozen=True, kw_only=True):
    """An incident's latest state, short."""

    incident_id: str
    model: str
    kind: str
    severity: str
    event: str  # what happened last: opened, escalated, updated, resolved, ...
    state: str  # open, resolved, accepted or retracted
    onset: str
    detected: str
    detected_row: int
    culprits: list[str]  # `feature`, or `feature in segment`
    summary: str

    @classmethod
    def of(cls, incident: Incident, event: IncidentEvent) -> IncidentLine:
        """Return the line of one alert."""
        named = incident.culprits or incident.inside_segments
        return cls(
            incident_id=incident.incident_id,
            model=incident.model,
            kind=incident.kind,
            severity=incident.severity,
            event=event.rsplit(".", 1)[-1],
            state=event.state,
            onset=incident.onset.ts,
            detected=incident.detected.ts,
            detected_row=incident.detected.row,
            culprits=list(dict.fromkeys(_named(culprit) for culprit in named)),
            summary=incident.summary,
        )


def _named(culprit: Culprit) -> str:
    return culprit.feature if culprit.segment == "all" else f"{culprit.feature} in {culprit.segment}"


class Findings:
    """State after some records of `alerts`, `retraining` and `driftline.dead-letters`; copies change nothing."""

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self._said: dict[str, str] = {}  # by id: the digest of what it says
        self._dead: set[tuple[str, int, int]] = set()
        self.changed: list[str] = []  # ids of alerts that came again and said something else
        self.alerts: dict[str, Counter[str]] = {}  # model to count by event: opened, heartbeat, ...
        self.pages: dict[str, list[int]] = {}  # model to the row of each page, in order
        self.incidents: dict[str, IncidentLine] = {}  # by incident id, in order of opening
        self.retrainings: dict[str, Retraining] = {}  # by effect id
        self.dead_letters: Counter[tuple[str, str, str]] = Counter()  # (model, topic, reason)

    def absorb(self, record: Record) -> None:
        """Take one record of the three topics.

        Raises:
            Malformed: a record that this product does not write.
        """
        if record.value is None:
            return
        if record.topic == self._topics.alerts:
            self._alert(record.value)
        elif record.topic == self._topics.retraining:
            self._retraining(record.value)
        elif record.topic == self._topics.dead_letters:
            self._dead_letter(record.value)

    def retrainings_in(self, model: str, state: RetrainingState) -> int:
        """Return how many decisions of a model are in `state` now."""
        return sum(1 for entry in self.retrainings.values() if entry.model == model and entry.state is state)

    @property
    def has_unanswered_retrainings(self) -> bool:
        """Return whether a request was written down whose outcome is not."""
        return any(entry.state is RetrainingState.REQUESTED for entry in self.retrainings.values())

    def dead_lettered(self, model: str, topic: str) -> int:
        """Return how many of a model's records of an input topic are dead letters."""
        return sum(count for (of, source, _), count in self.dead_letters.items() if (of, source) == (model, topic))

    def _alert(self, value: bytes) -> None:
        alert = decode_alert(value)
        digest = content_hash(value)
        if alert.id in self._said:
            if self._said[alert.id] != digest:
                self.changed.append(alert.id)
            return
        self._said[alert.id] = digest
        model = alert.data.model
        self.alerts.setdefault(model, Counter())[alert.type.rsplit(".", 1)[-1]] += 1
        if isinstance(alert.data, Incident):
            if alert.is_page:
                self.pages.setdefault(model, []).append(alert.data.detected.row)
            line = IncidentLine.of(alert.data, alert.type)
            before = self.incidents.get(line.incident_id)
            if before is None or line.culprits:
                self.incidents[line.incident_id] = line
            else:
                self.incidents[line.incident_id] = msgspec.structs.replace(line, culprits=before.culprits)

    def _retraining(self, value: bytes) -> None:
        try:
            entry = msgspec.json.decode(value, type=RetrainingEvent).data
        except UNREADABLE as exc:
            raise Malformed("schema", str(exc)) from exc
        self.retrainings[entry.effect_id] = entry

    def _dead_letter(self, value: bytes) -> None:
        try:
            letter = msgspec.json.decode(value, type=DeadLetter)
        except UNREADABLE as exc:
            raise Malformed("schema", str(exc)) from exc
        source = (letter.topic, letter.partition, letter.offset)
        if source not in self._dead:
            self._dead.add(source)
            self.dead_letters[letter.model or "", letter.topic, letter.reason] += 1
