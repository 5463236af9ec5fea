"""A trace as people read it."""

from __future__ import annotations

from collections.abc import Iterator

from services.cli.tables import Listing
from services.cli.trace.found import Trace


def listing(found: Trace) -> Listing:
    """Return the rows of the logs as a table, in order of flow."""
    rows = [
        [
            half.kind,
            half.at,
            str(half.row),
            half.log_time,
            half.model_version,
            (f"from {half.event}" + ("" if half.is_event_kept else ", no longer kept")) if half.event else "",
        ]
        for half in found.halves
    ]
    for seen in found.observations:
        said = f"prediction {seen.prediction}" + ("" if seen.label is None else f", label {seen.label}")
        counted = "" if seen.served_row is None else f", served row {seen.served_row}"
        rows.append([seen.kind, seen.at, str(seen.row), seen.log_time, seen.model_version, said + counted])
    return Listing(("what", "record", "row", "log time", "version", "says"), rows)


def sentences(found: Trace) -> Iterator[str]:
    """Yield what follows from the rows."""
    yield f"{found.model} knows the request as {found.identity}"
    if found.is_erased:
        yield "it was to be forgotten: what is kept for joining is gone"
    for cohort in found.cohorts:
        yield f"cohort: {cohort}"
    for window in found.windows:
        rows = f"served rows {window.first_served_row}..{window.last_served_row}"
        yield f"window of {window.segment}: {window.model_version}, {rows}, {window.series} columns"
    for incident in found.incidents:
        until = "is open" if incident.until is None else f"{incident.state} at {incident.until}"
        yield f"incident {incident.incident_id}: {incident.severity} {incident.kind} since {incident.since}, {until}"
    for text in found.not_covered:
        yield f"not covered: {text}"
