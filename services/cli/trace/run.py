"""Following one request: its halves, its observations, the windows that took it, the incidents that cover it.

Each log is read once, the newest records of it at most. Kafka keeps no index by request, so this takes as long as
reading one partition of each log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.cli.log_baseline import definition_of
from services.cli.trace.found import Covering, Half, Observation, Trace, Window
from services.cli.verify.installation import Meter
from services.detector.baseline import WINDOW_ALL
from services.joiner.columns import identities
from shared.control import read_catalogue
from shared.definition import Catalogue
from shared.errors import ConfigurationError
from shared.events.alert import CLOSING, Alert, Incident, decode_alert
from shared.events.block import (
    ID,
    ITEMS,
    LABEL,
    PREDICTION,
    SEGMENT_PREFIX,
    SRC_OFFSET,
    SRC_PARTITION,
    SRC_TOPIC,
    TS,
    Block,
    BlockKind,
    decode,
)
from shared.events.ranking import GAIN_BYTES, ITEM_BYTES
from shared.history import history
from shared.identity import IdKey, model_partition
from shared.log import Reader, Record, TopicPartition
from shared.topics import Topics
from shared.values import format_ts, parse_ts

MOST_RECORDS = 5_000_000  # of one log that are read, the newest
TOLD_EVERY = 500
ALL = "all"


class _Span(msgspec.Struct, frozen=True):
    """What a window's record says of where it is; one of a period of time has no rows."""

    model: str
    model_version: str
    segment: str = ""
    first_served_row: int = 0
    last_served_row: int = -1


def trace(reader: Reader, topics: Topics, key: IdKey, meter: Meter, model: str, request_id: str) -> Trace:
    """Return what the logs say of one request.

    Raises:
        Refused: nothing is published of the model.
        ConfigurationError: the logs were written with another id key.
    """
    catalogue = read_catalogue(reader, topics)
    definition_of(catalogue, model)
    return _Traced(reader, topics, key, meter, model, key.request(model, request_id)).whole(catalogue)


@dataclass
class _Traced:
    reader: Reader
    topics: Topics
    key: IdKey
    meter: Meter
    model: str
    identity: bytes
    not_covered: list[str] = field(default_factory=list)

    def whole(self, catalogue: Catalogue) -> Trace:
        halves = [half for place in self._places(catalogue) for half in self._halves(place)]
        observations = self._observations()
        served = [found for found in observations if found.kind is BlockKind.SERVED]
        rows = [(found.model_version, found.served_row) for found in served if found.served_row is not None]
        if len(rows) < len(served):
            self.not_covered.append("windows and cohorts: the observations have lost their beginning")
        return Trace(
            model=self.model,
            identity=self.identity.hex(),
            halves=halves,
            observations=observations,
            cohorts=[_cohort(version, row) for version, row in rows],
            windows=self._windows(rows, served),
            incidents=self._incidents(served),
            is_erased=any(half.kind is BlockKind.ERASURE for half in halves),
            not_covered=self.not_covered,
        )

    def _places(self, catalogue: Catalogue) -> list[TopicPartition]:
        spreads = {found.spec.spread for found in catalogue.definitions.values() if found.model == self.model}
        partitions = self.topics.halves_partitions
        numbers = {self.key.half_partition(self.model, self.identity, spread=n, partitions=partitions) for n in spreads}
        return [TopicPartition(self.topics.halves, number) for number in sorted(numbers)]

    def _halves(self, source: TopicPartition) -> Iterator[Half]:
        low: dict[TopicPartition, int] = {}
        for record, block in self._blocks(source):
            for row in self._rows_of(block):
                (columns,) = block.batch.slice(row, 1).to_pylist()  # type: ignore[union-attr]  # it has rows
                event = None
                if SRC_TOPIC in columns:
                    event = TopicPartition(columns[SRC_TOPIC], columns[SRC_PARTITION])
                    low.setdefault(event, self.reader.bounds(event).low)
                yield Half(
                    kind=block.kind,
                    model_version=block.model_version,
                    at=_at(source, record.offset),
                    row=row,
                    log_time=format_ts(record.timestamp_ms),
                    configuration_hash=block.stamp.config_hash,
                    ts=format_ts(columns[TS]) if TS in columns else None,
                    event=None if event is None else _at(event, columns[SRC_OFFSET]),
                    is_event_kept=event is not None and columns[SRC_OFFSET] >= low[event],
                )

    def _observations(self) -> list[Observation]:
        number = self.key.model_partition(self.model, self.topics.observations_partitions)
        source = TopicPartition(self.topics.observations, number)
        is_whole = self._start(source)[0] == 0
        last: dict[int, int] = {}
        served: Counter[str] = Counter()
        found = []
        for record, block in self._blocks(source):
            if block.chain is None or block.chain.seq <= last.get(block.chain.shard, -1):
                continue
            last[block.chain.shard] = block.chain.seq
            for row in self._rows_of(block):
                counted = served[block.model_version] + row if block.kind is BlockKind.SERVED and is_whole else None
                found.append(_observation(block, row, _at(source, record.offset), record.timestamp_ms, counted))
            if block.model == self.model and block.kind is BlockKind.SERVED:
                served[block.model_version] += block.rows
        return found

    def _windows(self, rows: Sequence[tuple[str, int]], served: Sequence[Observation]) -> list[Window]:
        if not rows:
            return []
        segments = {segment for found in served for segment in _segments(found.segments)}
        number = model_partition(self.model, self.topics.observations_partitions)
        spans: dict[_Span, set[bytes | None]] = {}
        for record in self._records(TopicPartition(self.topics.profiles, number)):
            span = msgspec.json.decode(record.value or b"{}", type=_Span)
            if span.model == self.model and _is_in(span.segment, segments) and _holds(span, rows):
                spans.setdefault(span, set()).add(record.key)
        return [
            Window(
                model_version=span.model_version,
                segment=span.segment,
                first_served_row=span.first_served_row,
                last_served_row=span.last_served_row,
                series=len(series),
            )
            for span, series in sorted(spans.items(), key=lambda one: (one[0].first_served_row, one[0].segment))
        ]

    def _incidents(self, served: Sequence[Observation]) -> list[Covering]:
        """Return the incidents that had begun before the prediction and ended after it, each with its last word."""
        number = model_partition(self.model, self.topics.alerts_partitions)
        latest: dict[str, tuple[Alert, Incident]] = {}
        for record in self._records(TopicPartition(self.topics.alerts, number)):
            alert = decode_alert(record.value)
            if isinstance(alert.data, Incident) and alert.data.model == self.model:
                latest[alert.data.incident_id] = alert, alert.data
        return [
            found
            for alert, incident in latest.values()
            for observation in served
            if (found := _covering(alert, incident, observation)) is not None
        ]

    def _blocks(self, source: TopicPartition) -> Iterator[tuple[Record, Block]]:
        for record in self._records(source):
            yield record, decode(record)

    def _rows_of(self, block: Block) -> list[int]:
        if block.batch is None or block.model != self.model:
            return []
        if block.stamp.id_key != self.key.fingerprint:
            raise ConfigurationError("DRIFTLINE_ID_KEY", f"is not the key that {self.topics.halves} is written with")
        ids = identities(block.batch) if ID in block.batch.schema.names else []
        return [row for row, found in enumerate(ids) if found == self.identity]

    def _start(self, source: TopicPartition) -> tuple[int, int]:
        low, high = self.reader.bounds(source)
        return max(low, high - MOST_RECORDS), high

    def _records(self, source: TopicPartition) -> Iterator[Record]:
        start, high = self._start(source)
        if start > self.reader.bounds(source).low:
            self.not_covered.append(f"{_at(source, start)} and before: at most {MOST_RECORDS:,} records are read")
        self.meter.begin(f"{source.topic}-{source.partition}", high - start)
        for number, record in enumerate(history(self.reader, source, start, high), 1):
            if number % TOLD_EVERY == 0:
                self.meter.read(TOLD_EVERY)
            yield record


def _observation(block: Block, row: int, at: str, log_time: int, served_row: int | None) -> Observation:
    (columns,) = block.batch.slice(row, 1).to_pylist()  # type: ignore[union-attr]  # it has rows
    return Observation(
        kind=block.kind,
        model_version=block.model_version,
        at=at,
        row=row,
        log_time=format_ts(log_time),
        ts=format_ts(columns[TS]),
        segments={
            name.removeprefix(SEGMENT_PREFIX): value
            for name, value in columns.items()
            if name.startswith(SEGMENT_PREFIX)
        },
        prediction=columns.get(PREDICTION, _listed(columns.get(ITEMS), ITEM_BYTES)),
        label=_listed(columns.get(LABEL), GAIN_BYTES),
        served_row=served_row,
    )


def _listed(value: Any, size: int) -> Any:
    """Return how many items a list or gains have, of which nothing readable is kept; anything else as it is."""
    return float(len(value) // size) if isinstance(value, bytes) else value


def _covering(alert: Alert, incident: Incident, served: Observation) -> Covering | None:
    """Return the incident if it had begun by the prediction's own time, and ended after it in the log's."""
    until = alert.time if alert.type in CLOSING else None
    if incident.model_version != served.model_version or parse_ts(served.ts) < parse_ts(incident.onset.ts):
        return None
    if until is not None and parse_ts(served.log_time) > parse_ts(until):
        return None
    told = [culprit.segment for culprit in (*incident.culprits, *incident.inside_segments)]
    is_inside = bool(told) and ALL not in told
    if is_inside and not any(_is_in(segment, set(_segments(served.segments))) for segment in told):
        return None
    return Covering(
        incident_id=incident.incident_id,
        model_version=incident.model_version,
        kind=incident.kind,
        severity=incident.severity,
        since=incident.onset.ts,
        until=until,
        state=alert.type.state,
        is_inside_segments=is_inside,
    )


def _segments(values: Mapping[str, str | None]) -> Iterator[str]:
    for dimension, value in values.items():
        if value is not None:
            yield f"{dimension}={value}"


def _is_in(segment: str, of_request: set[str]) -> bool:
    """Tell whether a row of these segments is in a segment, which may be a cross of some."""
    return segment == ALL or set(segment.split(",")) <= of_request


def _holds(span: _Span, rows: Sequence[tuple[str, int]]) -> bool:
    return any(
        version == span.model_version and span.first_served_row <= row <= span.last_served_row for version, row in rows
    )


def _cohort(version: str, row: int) -> str:
    first = row - row % WINDOW_ALL
    return f"{version}, served rows {first}..{first + WINDOW_ALL - 1}"


def _at(source: TopicPartition, offset: int) -> str:
    return f"{source.topic}-{source.partition}@{offset}"
