"""Baselines from the log instead of a file: which rows there are, and what cannot be made of them."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import pyarrow as pa

from services.cli.publication import Publication
from services.detector.baseline import Baseline, decode, schema
from services.detector.baseline_build import Progress, build_baseline
from services.detector.log_reference import LogReference, Range
from shared.control import read_catalogue, read_whole, sources
from shared.definition import Catalogue, Definition, ModelSchema, ServedRows, declared_schema
from shared.durations import UNITS_MS
from shared.errors import DriftlineError
from shared.log import Reader
from shared.monitors import ModelSpec
from shared.topics import Topics
from shared.values import format_ts


class Refused(DriftlineError):
    """What was asked for cannot be done as things stand; says why, and what can."""


@dataclass(frozen=True, slots=True)
class Built:
    """A baseline from the log, and the definition that would publish it."""

    publication: Publication
    baseline: Baseline
    rows: ServedRows
    left_out: int  # rows of the range that are older than the newest that are kept in memory


def current_of(catalogue: Catalogue, model: str) -> tuple[Definition, Baseline]:
    """Return a model's current definition and its baseline.

    Raises:
        Refused: nothing is published of the model, or it warms up.
    """
    definition = definition_of(catalogue, model)
    content = catalogue.baseline(definition)
    if not content:
        raise Refused(f"{model} warms up: it has no baseline yet")
    return definition, decode(content)


def definition_of(catalogue: Catalogue, model: str) -> Definition:
    """Return a model's current definition.

    Raises:
        Refused: nothing is published of the model.
    """
    definition = catalogue.definition(model)
    if definition is None:
        known = ", ".join(sorted(catalogue.current)) or "none"
        raise Refused(f"no definition of a model {model!r} is published; known: {known}")
    return definition


def build_from_log(reader: Reader, topics: Topics, model: str, spec: ModelSpec, wanted: Range, tell: Progress) -> Built:
    """Return the definition whose baseline is that of a range of the log; nothing is written.

    Raises:
        Refused: the log holds no such rows, or no longer all of them.
        ConfigurationError: the configuration asks for what the rows do not have.
    """
    catalogue = read_catalogue(reader, topics)
    definition = definition_of(catalogue, model)
    of_rows = declared_schema(spec) if spec.warm_up is not None else schema(current_of(catalogue, model)[1])
    found = read_rows(reader, topics, model, spec, of_rows, wanted, tell)
    refuse_trimmed(reader, topics, found, wanted)
    return built_of(found, model, spec, definition, tell)


def built_of(found: LogReference, model: str, spec: ModelSpec, follows: Definition, tell: Progress) -> Built:
    """Return the definition whose baseline is that of rows of the log, of which there is at least one.

    Raises:
        ConfigurationError: the configuration asks for what the rows do not have.
    """
    table = found.table()
    baseline = build_baseline(model, spec, table, tell, classes=found.schema.classes)
    rows = served_rows(table, found.wanted)
    publication = Publication.of(model, spec, baseline).telling(rows, [], follows.hash)
    return Built(publication, baseline, rows, left_out=found.found - found.rows)


def read_rows(
    reader: Reader, topics: Topics, model: str, spec: ModelSpec, of_rows: ModelSchema, wanted: Range, tell: Progress
) -> LogReference:
    """Return what `driftline.observations` holds of a model in a range; there is at least one row.

    Raises:
        Refused: there is no row in the range.
    """
    found = LogReference(model, spec, of_rows, wanted)
    for record in read_whole(reader, topics.observations, lambda share: tell("reading the log", share)):
        found.take(record)
    if not found.rows:
        raise Refused(f"{topics.observations} holds no rows of {model}{_of(wanted)}; {_held(found)}")
    return found


def refuse_trimmed(reader: Reader, topics: Topics, found: LogReference, wanted: Range) -> None:
    """Refuse a range whose beginning the log may no longer hold."""
    kept = found.kept
    if wanted.since_ms is None or kept.first_ms is None or kept.first_ms <= wanted.since_ms:
        return
    trimmed = {source.partition for source in sources(reader, topics.observations) if reader.bounds(source).low > 0}
    if kept.partition in trimmed:
        raise Refused(
            f"{topics.observations} no longer holds what was before {format_ts(kept.first_ms)}:"
            " ask for rows since then, or keep the topic for longer (its retention.ms)"
        )


def served_rows(table: pa.Table, wanted: Range) -> ServedRows:
    """Return what a definition says of the rows that its whole baseline was built from."""
    first, last = _span(table)
    return ServedRows(
        since=format_ts(first), until=format_ts(last), rows=table.num_rows, model_version=wanted.model_version
    )


def paced(spec: ModelSpec, before: Baseline, table: pa.Table) -> ModelSpec:
    """Return the spec with the rows a week to reckon with, where the configuration does not say them.

    The higher of the rates before and now: a few hours say little of a week, and the budget is a promise of at most.
    """
    first, last = _span(table)
    now = table.num_rows * UNITS_MS["w"] / (last - first) if last > first else 0.0
    pace = max(before.rows_per_week or 0.0, now)
    if spec.events_per_week is not None or not pace:
        return spec
    return msgspec.structs.replace(spec, events_per_week=pace)


def _span(table: pa.Table) -> tuple[int, int]:
    """Return the first and the last `ts`; rows are in their order."""
    ts = table.column("ts").cast(pa.int64())
    return ts[0].as_py(), ts[-1].as_py()


def _of(wanted: Range) -> str:
    parts = [f" of version {wanted.model_version}"] if wanted.model_version else []
    parts += [] if wanted.since_ms is None else [f" since {format_ts(wanted.since_ms)}"]
    parts += [] if wanted.until_ms is None else [f" until {format_ts(wanted.until_ms)}"]
    return "".join(parts)


def _held(found: LogReference) -> str:
    kept = found.kept
    if kept.first_ms is None or kept.last_ms is None:
        return "it holds nothing of that model"
    versions = ", ".join(sorted(kept.versions))
    return f"it holds {format_ts(kept.first_ms)} to {format_ts(kept.last_ms)}, of versions {versions}"
