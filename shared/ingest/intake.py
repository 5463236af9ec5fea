"""One raw record to one row of a block, or the reason why not."""

from __future__ import annotations

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
from shared.log import Record
from shared.topics import Topics
from shared.values import OTHER_LEVEL

MAX_UNKNOWN_MODELS = 100  # names that are counted on their own
SUSPECT_BEFORE_MS = 946_684_800_000  # 2000-01-01
SUSPECT_AHEAD_MS = 5 * UNITS_MS["m"]


class Admitted(msgspec.Struct, frozen=True, gc=False):
    """A row and where it belongs."""

    model: WatchedModel
    model_version: str
    partition: int  # of `driftline.halves`
    row: Row


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

    def admit(self, record: Record, *, stale_at_ms: int | None) -> Admitted:
        """Return the row of a record.

        `stale_at_ms`: now, if records whose Kafka timestamp is a horizon older are to be refused.

        Raises:
            Malformed: with a documented reason.
        """
        payload = payload_of(record)
        name = peek_model(payload)
        model = None if name is None else self.models.get(name)
        half = None if model is None else model.codec.decode(payload)
        if model is None or half is None:
            model, half = self._salvage(payload)
        if stale_at_ms is not None and record.timestamp_ms < stale_at_ms - model.horizon_ms:
            raise Malformed("stale", "the Kafka timestamp is older than the model's label horizon")
        identity = model.identity(half.request_id)
        row = Row(
            identity,
            self._event_time(model, half, record),
            record.topic,
            record.partition,
            record.offset,
            record.timestamp_ms,
            half,
        )
        self.counts[model.name, "rows"] += 1
        return Admitted(model, half.model_version, model.partition(identity), row)

    def refused(self, record: Record, malformed: Malformed) -> str | None:
        """Count a dead letter; return the model that the record seems to be about."""
        payload = record.value or b""
        name = peek_model(payload) if len(payload) <= MAX_PAYLOAD_BYTES else None
        model = None if name is None else name.decode()
        self.counts[self._counted_as(model), malformed.reason] += 1
        return model

    def _salvage(self, payload: bytes) -> tuple[WatchedModel, Half]:
        self.salvaged += 1
        parsed = parse(payload)
        if not isinstance(parsed.tree, dict):
            raise Malformed("schema", "not an object")
        name = name_of(parsed.tree, "model")
        model = self.models.get(name.encode())
        if model is None:
            raise Malformed("unknown_model", "not in the configuration")
        return model, model.codec.salvage(parsed)

    def _event_time(self, model: WatchedModel, half: Half, record: Record) -> int:
        ts_ms = record.timestamp_ms if half.ts_ms is None else half.ts_ms
        if ts_ms < 0 and half.ts_ms is None:
            raise Malformed("ts", "neither a time of its own nor a Kafka timestamp")
        if not SUSPECT_BEFORE_MS <= ts_ms <= record.timestamp_ms + SUSPECT_AHEAD_MS:
            self.counts[model.name, "ts_suspect"] += 1
        return ts_ms

    def _counted_as(self, model: str | None) -> str:
        if model is None or self.models.get(model.encode()) is not None:
            return model or ""
        if len(self._unknown) < MAX_UNKNOWN_MODELS:
            self._unknown.add(model)
        return model if model in self._unknown else OTHER_LEVEL
