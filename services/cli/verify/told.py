"""One alert, or all events of one incident, found in their log and recounted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from services.cli.log_baseline import Refused
from services.cli.verify.number import Number
from services.cli.verify.recompare import recompare
from services.cli.verify.recount import recount
from services.cli.verify.report import Outcome, named
from services.detector.baseline import decode
from shared.control import read_catalogue, read_whole
from shared.definition import Catalogue
from shared.errors import Malformed
from shared.events.alert import Alert, Incident, decode_alert
from shared.events.comparison import Comparison
from shared.log import Reader
from shared.topics import Topics


class Recounted(msgspec.Struct, frozen=True, kw_only=True):
    """One event of an incident, or of a comparison."""

    at: str  # the record
    id: str
    type: str
    incident_id: str  # or the comparison's
    numbers: list[Number]

    @property
    def outcome(self) -> Outcome:
        """Return what the numbers say together; undecided where the value of no culprit follows from the record."""
        if any(number.differs for number in self.numbers):
            return Outcome.DIFFERENT
        values = [number for number in self.numbers if number.name.startswith("value")]
        return Outcome.CLEAN if any(not number.needs for number in values) else Outcome.UNDECIDED


def told(reader: Reader, topics: Topics, identity: str) -> list[Recounted]:
    """Return the alert with this id, or every event of the incident with this id, oldest first.

    Raises:
        Refused: there is none, it is a heartbeat, or the baseline that it names is not published.
    """
    found = dict(_events(reader, topics, identity))
    if not found:
        raise Refused(f"{topics.alerts} holds no alert and no incident {identity!r}")
    catalogue = read_catalogue(reader, topics)
    return [_recounted(at, alert, catalogue, topics) for alert, at in found.values()]


def outcome_of(events: Sequence[Recounted]) -> Outcome:
    """Return what events say together."""
    found = {event.outcome for event in events}
    return next(one for one in (Outcome.DIFFERENT, Outcome.CLEAN, Outcome.UNDECIDED) if one in found)


def _events(reader: Reader, topics: Topics, identity: str) -> Iterator[tuple[str, tuple[Alert, str]]]:
    """Yield matching alerts by id; a later copy of one is as good as the first."""
    for record in read_whole(reader, topics.alerts):
        try:
            alert = decode_alert(record.value)
        except Malformed:
            continue
        if identity in (alert.id, _story(alert)):
            yield alert.id, (alert, named(record.source, record.offset))


def _story(alert: Alert) -> str:
    """Return the id of the incident or the comparison that an alert tells of; a heartbeat's own."""
    match alert.data:
        case Incident() as incident:
            return incident.incident_id
        case Comparison() as comparison:
            return comparison.comparison_id
        case _:
            return alert.id


def _recounted(at: str, alert: Alert, catalogue: Catalogue, topics: Topics) -> Recounted:
    if isinstance(alert.data, Comparison):
        return Recounted(at=at, id=alert.id, type=alert.type, incident_id=_story(alert), numbers=recompare(alert.data))
    if not isinstance(alert.data, Incident):
        raise Refused(f"{alert.id} is a heartbeat, whose numbers follow from the log alone: `driftline verify`")
    incident = alert.data
    content = catalogue.baselines.get(incident.baseline_hash)
    if content is None:
        raise Refused(f"{topics.control} does not hold the baseline {incident.baseline_hash} that {alert.id} names")
    definition = catalogue.definitions.get(incident.configuration_hash)
    return Recounted(
        at=at,
        id=alert.id,
        type=alert.type,
        incident_id=incident.incident_id,
        numbers=recount(alert.type, incident, definition, decode(content)),
    )
