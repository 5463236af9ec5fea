"""What the logs record of people and decisions, one entry a record."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from shared.acts import Act, ActKind, act_in
from shared.definition import Definition
from shared.errors import Corrupt
from shared.events.alert import Incident, IncidentEvent, decode_alert
from shared.events.retraining import RetrainingEvent
from shared.identity import content_hash
from shared.log import Record
from shared.unreadable import UNREADABLE
from shared.values import format_ts

_DID = {
    ActKind.PUBLISH: "published the definition",
    ActKind.WARM_UP: "gave the model its first baseline, with the definition",
    ActKind.ACCEPT: "accepted the incident",
    ActKind.UNDO: "took a baseline back, to the definition",
    ActKind.ERASE: "erased requests:",
    ActKind.REPAIR: "deleted, to be built anew,",
    ActKind.RESUME: "resumed the input",
    ActKind.REPLAY: "sent dead letters again:",
}


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `hash` is the content hash of the record at `at`; `who` is empty where no person is recorded."""

    time: str  # when the log took it
    what: str
    model: str
    who: str
    text: str
    at: str
    hash: str


def control_entries(record: Record) -> Iterator[Entry]:
    """Yield the entry of a record of `driftline.control`: an act, a configuration, a baseline.

    Raises:
        Corrupt: it does not read back.
    """
    act = act_in(record)
    if act is not None:
        yield _entry(record, f"act.{act.kind}", act.model, _act_text(act), act.by)
        return
    if record.key is None or record.value is None:
        return
    model, kind, named = [*record.key.decode(errors="replace").rsplit("/", 2), "", ""][:3]
    if kind == "baseline":
        yield _entry(record, "baseline", model, f"baseline {named}")
    elif kind == "definition":
        try:
            definition = msgspec.json.decode(record.value, type=Definition)
        except UNREADABLE as exc:
            raise Corrupt(f"{record.topic}@{record.offset}: not a definition ({exc})") from exc
        of = f"baseline {definition.baseline_hash}" if definition.baseline_hash else "warms up"
        yield _entry(record, "definition", model, f"definition {named}, version {record.offset}, {of}")


def alert_entries(record: Record) -> Iterator[Entry]:
    """Yield the entry of an incident that changed its state; heartbeats and updates change none.

    Raises:
        Malformed: it does not read back.
    """
    alert = decode_alert(record.value)
    if not isinstance(alert.data, Incident) or alert.type is IncidentEvent.UPDATED:
        return
    incident = alert.data
    text = f"{incident.incident_id}: {incident.severity} {incident.kind} of {incident.model_version}"
    because = f", because {incident.reason}" if incident.reason else ""
    under = f", under the definition {incident.configuration_hash}"
    yield _entry(record, f"incident.{alert.type.name.lower()}", incident.model, f"{text}{because}{under}")


def retraining_entries(record: Record) -> Iterator[Entry]:
    """Yield the entry of a decision or its outcome.

    Raises:
        Corrupt: it does not read back.
    """
    if record.value is None:
        return
    try:
        found = msgspec.json.decode(record.value, type=RetrainingEvent).data
    except UNREADABLE as exc:
        raise Corrupt(f"{record.topic}-{record.partition}@{record.offset}: not a decision ({exc})") from exc
    because = f": {found.reason}" if found.reason else ""
    of = f" for incident {found.incident_id}" if found.incident_id else ""
    run = f", run {found.run_url}" if found.run_url else ""
    text = f"{found.effect_id} by {found.cause}{of}{because}{run}"
    yield _entry(record, f"retraining.{found.state}", found.model, text)


def _act_text(act: Act) -> str:
    words = ", ".join(act.about)
    about = {
        ActKind.ACCEPT: act.incident_id,
        ActKind.ERASE: f"{act.requests:,} in {', '.join(act.records)}",
        ActKind.REPAIR: words,
        ActKind.RESUME: words,
        ActKind.REPLAY: f"{act.letters:,}, {words}" if words else f"{act.letters:,}",
    }
    text = f"{_DID[act.kind]} {about.get(act.kind, act.definition)}"
    return f"{text}, because {act.reason}" if act.reason else text


def _entry(record: Record, what: str, model: str, text: str, who: str = "") -> Entry:
    return Entry(
        time=format_ts(record.timestamp_ms),
        what=what,
        model=model,
        who=who,
        text=text,
        at=f"{record.topic}-{record.partition}@{record.offset}",
        hash=content_hash(record.value or b""),
    )
