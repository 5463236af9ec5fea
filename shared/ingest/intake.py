"""Raw records to rows of blocks, or the reasons why not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from shared.definition import Catalogue
from shared.durations import UNITS_MS
from shared.errors import Malformed
from shared.events.block import BlockKind
from shared.identity import IdKey
from shared.ingest.codec import CodecFactory
from shared.ingest.fields import name_of
from shared.ingest.models import Counts, WatchedModel, WatchedModels
from shared.ingest.payload import MAX_PAYLOAD_BYTES, parse, payload_of, payloads_of, peek_model
from shared.ingest.rows import NO_TIME, Decoded, Rows, Times
from shared.log import Record, Records, TopicPartition
from shared.topics import Topics
from shared.values import OTHER_LEVEL

MAX_UNKNOWN_MODELS = 100  # names that are counted on their own
CHUNK = 250  # records that are decoded together: few enough to stay in the processor's cache
SUSPECT_BEFORE_MS = 946_684_800_000  # 2000-01-01
SUSPECT_AHEAD_MS = 5 * UNITS_MS["m"]


class Admitted(NamedTuple):
    """Rows of one log, in order, that belong into the same blocks."""

    model: WatchedModel
    model_version: str
    partition: int  # of `driftline.halves`
    rows: Rows

    @property
    def source(self) -> TopicPartition:
        """Return the log that the rows came from."""
        return self.rows.source


class Refused(NamedTuple):
    """A record that gives no row, and why."""

    record: Record
    malformed: Malformed

    @property
    def source(self) -> TopicPartition:
        """Return the log that the record came from."""
        return self.record.source


class Run(NamedTuple):
    """Records of one log, in order, that seem to be about one model."""

    model: bytes | None  # as `peek_model` guesses
    records: Records
    payloads: Sequence[bytes]
    log_ts_ms: Times

    def part(self, start: int, stop: int) -> Run:
        """Return some of the records."""
        return Run(self.model, self.records.part(start, stop), self.payloads[start:stop], self.log_ts_ms[start:stop])

    def halved(self) -> tuple[Run, Run]:
        """Return the first half and the second."""
        middle = len(self.records) // 2
        return self.part(0, middle), self.part(middle, len(self.records))


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

    def admit(self, records: Records, *, stale_at_ms: int | None) -> list[Admitted | Refused]:
        """Return, in the order of the records, their rows or the documented reasons why they give none.

        Rows of several models stand one model after another where nothing else is among them; nobody can tell.
        `stale_at_ms`: now, if records whose Kafka timestamp is a horizon older are to be refused.
        """
        outcomes: list[Admitted | Refused] = []
        for first in range(0, len(records), CHUNK):
            outcomes += self._chunk(records.part(first, first + CHUNK), stale_at_ms)
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

    def _chunk(self, records: Records, stale_at_ms: int | None) -> list[Admitted | Refused]:
        run = Run(self.models.only, records, payloads_of(records), np.array(records.timestamps_ms, np.int64))
        if run.model is not None:
            return [*self._outcomes(run, stale_at_ms)]
        found = [(places, part.model, [*self._outcomes(part, stale_at_ms)]) for places, part in _by_model(run)]
        if all(_is_as_guessed(model, outcome) for _, model, outcomes in found for outcome in outcomes):
            return [outcome for _, _, outcomes in found for outcome in outcomes]
        return _in_order([(places, outcomes) for places, _, outcomes in found])

    def _outcomes(self, run: Run, stale_at_ms: int | None) -> Iterator[Admitted | Refused]:
        """Yield what becomes of a run: at once where nothing is to be said about any record, else of its halves."""
        model = None if run.model is None else self.models.get(run.model)
        decoded = None if model is None else model.codec.decode(run.payloads)
        if model is not None and decoded is not None and _why_not(model, run, decoded, stale_at_ms) is None:
            yield from self._admitted(model, run, decoded)
        elif len(run.records) == 1:
            try:
                yield from self._alone(model, run, decoded, stale_at_ms)
            except Malformed as malformed:
                yield Refused(run.records.record(0), malformed)
        else:
            for part in run.halved():
                yield from self._outcomes(part, stale_at_ms)

    def _alone(
        self, model: WatchedModel | None, run: Run, decoded: Decoded | None, stale_at_ms: int | None
    ) -> Iterator[Admitted]:
        if model is None or decoded is None:
            model, decoded = self._salvage(run.records.record(0))
        malformed = _why_not(model, run, decoded, stale_at_ms)
        if malformed is not None:
            raise malformed
        yield from self._admitted(model, run, decoded)

    def _admitted(self, model: WatchedModel, run: Run, decoded: Decoded) -> Iterator[Admitted]:
        """Yield the rows in runs of one model version and partition."""
        records, log_times = run.records, run.log_ts_ms
        times = np.where(decoded.ts_ms == NO_TIME, log_times, decoded.ts_ms)
        suspect = int(np.count_nonzero((times < SUSPECT_BEFORE_MS) | (times - log_times > SUSPECT_AHEAD_MS)))
        if suspect:
            self.counts[model.name, "ts_suspect"] += suspect
        identities = model.identities(decoded.requests)
        sizes = list(map(len, run.payloads))
        rows = Rows(records.source, b"".join(identities), times, records.offsets, log_times, sizes, decoded.content)
        if model.only_partition is not None and len(set(decoded.versions)) == 1:
            yield Admitted(model, decoded.versions[0], model.only_partition, rows)
            return
        start = 0
        for (version, partition), same in groupby(zip(decoded.versions, map(model.partition, identities), strict=True)):
            stop = start + len(list(same))
            yield Admitted(model, version, partition, rows.part(start, stop))
            start = stop

    def _salvage(self, record: Record) -> tuple[WatchedModel, Decoded]:
        self.salvaged += 1
        parsed = parse(payload_of(record))
        if not isinstance(parsed.tree, dict):
            raise Malformed("schema", "not an object")
        name = name_of(parsed.tree, "model")
        model = self.models.get(name.encode())
        if model is None:
            raise Malformed("unknown_model", "not in the configuration")
        return model, model.codec.salvage(parsed)

    def _counted_as(self, model: str | None) -> str:
        if model is None or self.models.get(model.encode()) is not None:
            return model or ""
        if len(self._unknown) < MAX_UNKNOWN_MODELS:
            self._unknown.add(model)
        return model if model in self._unknown else OTHER_LEVEL


def _by_model(run: Run) -> Iterator[tuple[Sequence[int], Run]]:
    """Yield the records about each model, and their places in the run."""
    places: dict[bytes | None, list[int]] = {}
    for place, model in enumerate(map(peek_model, run.payloads)):
        places.setdefault(model, []).append(place)
    for model, among in places.items():
        yield among, Run(model, run.records.at(among), [run.payloads[place] for place in among], run.log_ts_ms[among])


def _is_as_guessed(model: bytes | None, outcome: Admitted | Refused) -> bool:
    return isinstance(outcome, Admitted) and outcome.model.name.encode() == model


def _in_order(found: Iterable[tuple[Sequence[int], Sequence[Admitted | Refused]]]) -> list[Admitted | Refused]:
    """Return outcomes record by record, by their places.

    The limit of dead letters counts those among the records before them, and two guesses may be of the same model.
    """
    singles: list[tuple[int, Admitted | Refused]] = []
    for places, outcomes in found:
        singles += zip(places, chain.from_iterable(map(_one_by_one, outcomes)), strict=True)
    return [outcome for _, outcome in sorted(singles, key=itemgetter(0))]


def _one_by_one(outcome: Admitted | Refused) -> Sequence[Admitted | Refused]:
    if isinstance(outcome, Refused):
        return [outcome]
    return [outcome._replace(rows=outcome.rows.part(row, row + 1)) for row in range(len(outcome.rows))]


def _why_not(model: WatchedModel, run: Run, decoded: Decoded, stale_at_ms: int | None) -> Malformed | None:
    """Return why a record among them, or the only one, gives no row although it can be read."""
    oldest = run.log_ts_ms.min()
    if stale_at_ms is not None and oldest < stale_at_ms - model.horizon_ms:
        return Malformed("stale", "the Kafka timestamp is older than the model's label horizon")
    if oldest < 0 and NO_TIME in decoded.ts_ms:
        return Malformed("ts", "neither a time of its own nor a Kafka timestamp")
    return None
