"""Raw records to rows of blocks, or the reasons why not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from operator import attrgetter, sub

import msgspec

from shared.definition import Catalogue
from shared.durations import UNITS_MS
from shared.errors import Malformed
from shared.events.block import BlockKind
from shared.identity import IdKey
from shared.ingest.codec import CodecFactory, Half, Row
from shared.ingest.fields import name_of
from shared.ingest.models import Counts, WatchedModel, WatchedModels
from shared.ingest.payload import MAX_PAYLOAD_BYTES, parse, payload_of, peek_model
from shared.log import Record, TopicPartition
from shared.topics import Topics
from shared.values import OTHER_LEVEL

MAX_UNKNOWN_MODELS = 100  # names that are counted on their own
CHUNK = 250  # records that are decoded together: few enough to stay in the processor's cache
SUSPECT_BEFORE_MS = 946_684_800_000  # 2000-01-01
SUSPECT_AHEAD_MS = 5 * UNITS_MS["m"]


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """Consecutive rows of one log that belong into the same blocks."""

    source: TopicPartition
    model: WatchedModel
    model_version: str
    partition: int  # of `driftline.halves`
    rows: list[Row]


class Refused(msgspec.Struct, frozen=True, gc=False):
    """A record that gives no row, and why."""

    record: Record
    malformed: Malformed

    @property
    def source(self) -> TopicPartition:
        """Return the log that the record came from."""
        return self.record.source


class Intake:
    """Decodes the records of one kind for all models, and counts what it sees in `counts`.

    `counts` holds per (model, code): `rows`, every dead-letter reason, and what was ignored or found invalid in rows:
    `unknown_field unknown_feature type_error not_finite out_of_range ts_suspect`. The model is empty where the record
    does not tell, and `__other__` beyond MAX_UNKNOWN_MODELS unknown names.
    """

    def __init__(
        self, kind: BlockKind, topics: Topics, catalogue: Catalogue, id_key: IdKey, codec: CodecFactory
    ) -> None:
        self.kind = kind
        self.counts = Counts()
        self.models = WatchedModels(catalogue, codec, id_key, topics.halves_partitions, self.counts)
        self.salvaged = 0  # records that the typed decoder refused
        self._unknown: set[str] = set()

    @property
    def unknown_models(self) -> int:
        """Return how many unknown names are counted on their own."""
        return len(self._unknown)

    def admit(self, records: Sequence[Record], *, stale_at_ms: int | None) -> list[Admitted | Refused]:
        """Return, in the order of the records, their rows or the documented reasons why they give none.

        `stale_at_ms`: now, if records whose Kafka timestamp is a horizon older are to be refused.
        """
        outcomes: list[Admitted | Refused] = []
        for source, chunk in _chunks(records):
            for guess, run, payloads in self._guessed(chunk):
                halves = [None] * len(run) if guess is None else guess.codec.decode(payloads)
                rows = guess and _ordinary_rows(guess, run, halves, stale_at_ms)
                if guess and rows:
                    outcomes += _admitted(source, guess, rows)
                else:
                    outcomes += self._one_by_one(source, guess, run, halves, stale_at_ms)
        for outcome in outcomes:
            if isinstance(outcome, Admitted):
                self.counts[outcome.model.name, "rows"] += len(outcome.rows)
        return outcomes

    def refused(self, record: Record, malformed: Malformed) -> str | None:
        """Count a dead letter; return the model that the record seems to be about."""
        payload = record.value or b""
        name = peek_model(payload) if len(payload) <= MAX_PAYLOAD_BYTES else None
        model = None if name is None else name.decode()
        self.counts[self._counted_as(model), malformed.reason] += 1
        return model

    def _guessed(self, records: Sequence[Record]) -> Iterator[tuple[WatchedModel | None, list[Record], list[bytes]]]:
        """Yield runs of records that seem to be about one model, with their payloads; None: about none of ours."""
        payloads = [_payload_or_nothing(record) for record in records]
        names = [peek_model(payload) for payload in payloads]
        start = 0
        for name, run in groupby(names):
            end = start + len(list(run))
            model = None if name is None else self.models.get(name)
            yield model, list(records[start:end]), payloads[start:end]
            start = end

    def _one_by_one(
        self,
        source: TopicPartition,
        guess: WatchedModel | None,
        records: Sequence[Record],
        halves: Sequence[Half | None],
        stale_at_ms: int | None,
    ) -> Iterator[Admitted | Refused]:
        for record, decoded in zip(records, halves, strict=True):
            try:
                model, half = (guess, decoded) if guess and decoded else self._salvage(record)
                row = self._row(model, half, record, stale_at_ms)
            except Malformed as malformed:
                yield Refused(record, malformed)
            else:
                yield from _admitted(source, model, [row])

    def _salvage(self, record: Record) -> tuple[WatchedModel, Half]:
        self.salvaged += 1
        parsed = parse(payload_of(record))
        if not isinstance(parsed.tree, dict):
            raise Malformed("schema", "not an object")
        name = name_of(parsed.tree, "model")
        model = self.models.get(name.encode())
        if model is None:
            raise Malformed("unknown_model", "not in the configuration")
        return model, model.codec.salvage(parsed)

    def _row(self, model: WatchedModel, half: Half, record: Record, stale_at_ms: int | None) -> Row:
        log_time = record.timestamp_ms
        if stale_at_ms is not None and log_time < stale_at_ms - model.horizon_ms:
            raise Malformed("stale", "the Kafka timestamp is older than the model's label horizon")
        ts_ms = log_time if half.ts_ms is None else half.ts_ms
        if not SUSPECT_BEFORE_MS <= ts_ms <= log_time + SUSPECT_AHEAD_MS:
            if ts_ms < 0 and half.ts_ms is None:
                raise Malformed("ts", "neither a time of its own nor a Kafka timestamp")
            self.counts[model.name, "ts_suspect"] += 1
        return Row(model.identity(half.request_id), ts_ms, record, half)

    def _counted_as(self, model: str | None) -> str:
        if model is None or self.models.get(model.encode()) is not None:
            return model or ""
        if len(self._unknown) < MAX_UNKNOWN_MODELS:
            self._unknown.add(model)
        return model if model in self._unknown else OTHER_LEVEL


def _chunks(records: Sequence[Record]) -> Iterator[tuple[TopicPartition, Sequence[Record]]]:
    """Yield consecutive records of one log, CHUNK at most."""
    for source, run in groupby(records, key=attrgetter("topic", "partition")):
        while chunk := list(islice(run, CHUNK)):
            yield TopicPartition(*source), chunk


def _payload_or_nothing(record: Record) -> bytes:
    try:
        return payload_of(record)
    except Malformed:
        return b""  # about no model: taken one by one, where the reason is found again


def _ordinary_rows(
    model: WatchedModel, records: Sequence[Record], halves: Sequence[Half | None], stale_at_ms: int | None
) -> list[Row] | None:
    """Return all rows if there is nothing to be said about any of them; the same as one by one, in less time."""
    known = [half for half in halves if half is not None]
    log_times = [record.timestamp_ms for record in records]
    if len(known) < len(records) or (stale_at_ms is not None and min(log_times) < stale_at_ms - model.horizon_ms):
        return None
    times = [log_time if half.ts_ms is None else half.ts_ms for half, log_time in zip(known, log_times, strict=True)]
    if min(times) < SUSPECT_BEFORE_MS or max(map(sub, times, log_times)) > SUSPECT_AHEAD_MS:
        return None
    identities = [model.identity(half.request_id) for half in known]
    return list(map(Row, identities, times, records, known))


def _admitted(source: TopicPartition, model: WatchedModel, rows: Sequence[Row]) -> Iterator[Admitted]:
    """Yield the rows in runs of one model version and partition."""
    for (version, partition), run in groupby(
        rows, key=lambda row: (row.half.model_version, model.partition(row.identity))
    ):
        yield Admitted(source, model, version, partition, list(run))
