"""Where each definition's baseline came from, and what was accepted with it: `driftline baseline list`."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from services.detector.baseline import decode
from shared.definition import Acceptance, Catalogue, Definition, ServedRows
from shared.values import format_ts


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """One published definition."""

    model: str
    version: int
    published: str
    is_current: bool
    definition_hash: str
    baseline_hash: str  # empty while the model warms up
    reference: str | None  # the configured one; None: the model learns its own
    rows: int  # of its baseline, or of the one that parts of it were put into
    since: str | None  # of their `ts`
    until: str | None
    built_from: ServedRows | None  # None: the reference
    accepts: list[Acceptance]
    follows: str | None


def stories(catalogue: Catalogue, model: str | None) -> list[Story]:
    """Return the definitions of one model, or of all, by model and version, the newest first."""
    found = [
        _story(catalogue, hashed, definition)
        for hashed, definition in catalogue.definitions.items()
        if model in (None, definition.model)
    ]
    return sorted(found, key=lambda story: (story.model, -story.version))


def story_lines(found: list[Story]) -> Iterator[str]:
    """Yield them for people: a line each, and one for each incident that was accepted with it."""
    for story in found:
        mark = "*" if story.is_current else " "
        rows = story.built_from
        of = source(rows) if rows else f"{story.rows:,} rows of {story.reference}{_times(story.since, story.until)}"
        named = story.baseline_hash or "no baseline"
        yield f"{mark} {story.model} {named} published {story.published}: {of if story.baseline_hash else 'warming up'}"
        for acceptance in story.accepts:
            yield f"    accepts {acceptance.incident_id} at {acceptance.at}: {acceptance.reason}"


def source(rows: ServedRows) -> str:
    """Return in words what was built from which rows."""
    what = {
        "all": "",
        "columns": f"{', '.join(rows.columns) or 'the columns'} from ",
        "performance": "the performance from ",
    }[rows.part]
    of = f" of version {rows.model_version}" if rows.model_version else ""
    return f"{what}{rows.rows:,} served rows{of}{_times(rows.since, rows.until)}"


def _times(since: str | None, until: str | None) -> str:
    return "" if since is None else f" from {since} to {until}"


def _story(catalogue: Catalogue, hashed: str, definition: Definition) -> Story:
    content = catalogue.baseline(definition)
    baseline = decode(content) if content else None
    span = (None, None) if baseline is None else (baseline.start_ms, baseline.end_ms)
    start, end = (None if ms is None else format_ts(ms) for ms in span)
    return Story(
        model=definition.model,
        version=catalogue.versions[hashed],
        published=format_ts(catalogue.published_ms[hashed]),
        is_current=catalogue.current[definition.model] == hashed,
        definition_hash=hashed,
        baseline_hash=definition.baseline_hash,
        reference=None if definition.spec.reference is None else definition.spec.reference_file,
        rows=0 if baseline is None else baseline.rows,
        since=start,
        until=end,
        built_from=definition.built_from,
        accepts=definition.accepts,
        follows=definition.follows,
    )
