"""The new normal: of an open incident, a baseline that holds its change."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pyarrow as pa

from services.cli.log_baseline import Refused, current_of, paced, read_rows, served_rows
from services.cli.publication import Publication, fits
from services.detector.baseline import WINDOW_ALL, Baseline, schema
from services.detector.baseline_build import Progress, build_baseline
from services.detector.baseline_parts import keeping_performance, with_columns, with_performance
from services.detector.log_reference import Range
from services.detector.selftest import REFERENCE_WINDOWS
from shared.control import read_catalogue, read_whole
from shared.definition import Acceptance, Catalogue, ServedRows
from shared.events.alert import Alert, Incident, IncidentKind, decode_alert
from shared.events.block import LABEL
from shared.log import Reader
from shared.topics import Topics
from shared.values import format_ts, parse_ts

NEEDED_ROWS = REFERENCE_WINDOWS * WINDOW_ALL  # with fewer no column may page on all traffic
NEEDED_LABELS = WINDOW_ALL
MAX_REASON_CHARS = 500
MAX_ACCEPTANCES = 100  # that a definition remembers, newest last

NOTHING_SERVED = "no row had a value"
LOSSES = frozenset({IncidentKind.PERFORMANCE_DEGRADATION, IncidentKind.CONCEPT_DRIFT})


@dataclass(frozen=True, slots=True)
class Request:
    """What someone accepts, and why. columns: of an incident of drift, those to replace; empty: all."""

    incident_id: str
    reason: str
    at_ms: int
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """What an acceptance publishes, and what it is compared with."""

    publication: Publication
    rows: ServedRows
    before: Baseline
    baseline: Baseline

    @property
    def disarmed(self) -> dict[str, str]:
        """Return the columns that could page on all traffic and no longer can, with the reason."""
        places = {column.name: place for place, column in enumerate(self.baseline.columns)}
        found = {}
        for place, column in enumerate(self.before.columns):
            now = places.get(column.name)
            why = NOTHING_SERVED if now is None else self.baseline.why_not_yet(now, 0)
            if not self.before.why_not_yet(place, 0) and why:
                found[column.name] = why
        return found


def accept(reader: Reader, topics: Topics, request: Request, tell: Progress) -> Accepted:
    """Return the definition that accepts an open incident; nothing is written.

    An incident of drift replaces the columns and keeps the reference's performance, so that a loss is still found; an
    incident of performance replaces the performance and nothing else.

    Raises:
        Refused: the incident is unknown, closed or accepted already, tells nothing of such columns, or too little is
            served since its onset.
    """
    reason = request.reason.strip()
    if not reason or len(reason) > MAX_REASON_CHARS:
        raise Refused(f"a reason of 1 to {MAX_REASON_CHARS} characters is kept with the baseline; give --reason")
    incident = open_incident(reader, topics, request.incident_id)
    catalogue = read_catalogue(reader, topics)
    definition, before = current_of(catalogue, incident.model)
    if definition.acceptance(incident.incident_id) is not None:
        raise Refused(f"incident {incident.incident_id} is accepted already; it closes with the model's next rows")
    is_loss = incident.kind in LOSSES or IncidentKind.PERFORMANCE_DEGRADATION in incident.kinds
    _refuse_columns(incident, before, request.columns, is_loss=is_loss)
    wanted = Range(since_ms=parse_ts(incident.onset.ts), model_version=incident.model_version)
    table = read_rows(reader, topics, incident.model, definition.spec, schema(before), wanted, tell).table()
    _refuse_few(incident, table, is_loss=is_loss)
    new = build_baseline(
        incident.model,
        paced(definition.spec, before, table),
        table,
        tell,
        classes=before.classes,
        cells_of=before if is_loss or request.columns else None,
    )
    _refuse_empty(request.columns, new)
    rows = served_rows(table, wanted)
    if is_loss:
        baseline = with_performance(before, new)
        rows = msgspec.structs.replace(rows, part="performance")
    else:
        columns = list(request.columns)
        baseline = with_columns(before, new, columns) if columns else keeping_performance(before, new)
        rows = msgspec.structs.replace(rows, part="columns", columns=columns)
    said = Acceptance(incident_id=incident.incident_id, reason=reason, at=format_ts(request.at_ms))
    publication = Publication.of(incident.model, definition.spec, baseline).telling(
        rows, [*definition.accepts, said][-MAX_ACCEPTANCES:], definition.hash
    )
    return Accepted(publication, rows, before, baseline)


def open_incident(reader: Reader, topics: Topics, incident_id: str) -> Incident:
    """Return the latest state of an open incident.

    Raises:
        Refused: there is no such incident, or it is closed.
    """
    latest: bytes | None = None
    for record in read_whole(reader, topics.incidents):
        if record.key == incident_id.encode():
            latest = record.value
    if latest is not None:
        alert = decode_alert(latest)
        if isinstance(alert.data, Incident):
            return alert.data
    told = _last_told(reader, topics, incident_id)
    if told is None:
        raise Refused(f"{topics.incidents} and {topics.alerts} know no incident {incident_id!r}")
    raise Refused(f"incident {incident_id} is closed already: {told.type.state} at {told.time}")


def undone(catalogue: Catalogue, model: str) -> Publication:
    """Return the definition before the current one, under the current configuration.

    Raises:
        Refused: the model's baseline is that of its configured reference, or the first that it learned.
    """
    definition, _ = current_of(catalogue, model)
    if definition.follows is None:
        raise Refused(f"the baseline of {model} is that of its reference: there is nothing to undo")
    before = catalogue.definitions[definition.follows]
    if not before.baseline_hash:
        raise Refused(f"the baseline of {model} is the first one that it learned: there is nothing to undo")
    again = msgspec.structs.replace(before, spec=definition.spec) if fits(before.spec, definition.spec) else before
    return Publication(again, catalogue.baseline(before))


def _last_told(reader: Reader, topics: Topics, incident_id: str) -> Alert | None:
    found: Alert | None = None
    for record in read_whole(reader, topics.alerts):
        alert = decode_alert(record.value)
        if isinstance(alert.data, Incident) and alert.data.incident_id == incident_id:
            found = alert
    return found


def _refuse_columns(incident: Incident, before: Baseline, columns: tuple[str, ...], *, is_loss: bool) -> None:
    if columns and is_loss:
        raise Refused(f"incident {incident.incident_id} tells of labels, not of columns; leave --columns out")
    known = [column.name for column in before.columns]
    for name in columns:
        if name not in known and name not in _pairs(before):
            raise Refused(f"{incident.model} has no column {name!r}; it has {', '.join(known)}")


def _refuse_empty(columns: tuple[str, ...], new: Baseline) -> None:
    for name in columns:
        if name not in [column.name for column in new.columns] and name not in _pairs(new):
            raise Refused(f"{name}: {NOTHING_SERVED} since the onset")


def _pairs(baseline: Baseline) -> set[str]:
    return set() if baseline.pairs is None else baseline.pairs.names


def _refuse_few(incident: Incident, table: pa.Table, *, is_loss: bool) -> None:
    since = f"of {incident.model} {incident.model_version} since the onset at {incident.onset.ts}"
    if is_loss:
        labels = len(table) - table.column(LABEL).null_count if LABEL in table.column_names else 0
        if labels < NEEDED_LABELS:
            raise Refused(f"{labels:,} predictions {since} have a label; {NEEDED_LABELS:,} are needed")
    elif len(table) < NEEDED_ROWS:
        raise Refused(f"{len(table):,} predictions {since}; {NEEDED_ROWS:,} are needed for a baseline")
