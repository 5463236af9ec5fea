"""Requests that are to be forgotten: the records that say so, and what remains of them, where and for how long."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
import pyarrow as pa

from services.cli.log_baseline import Refused, definition_of
from services.cli.tables import Listing
from shared.acts import Act, ActKind, act_record
from shared.control import read_catalogue, sources
from shared.definition import Catalogue, Definition
from shared.errors import ConfigurationError
from shared.events.block import ID, MAX_ROWS, Block, BlockKind, Stamp, decode, encode
from shared.history import history
from shared.identity import ID_BYTES, IdKey
from shared.ingest.fields import MAX_REQUEST_ID
from shared.log import Outgoing, Reader, Writer
from shared.topics import DAY_MS, Topics
from shared.values import format_ts

MAX_REQUESTS = 100_000  # of one command
NEWEST = 500  # records of a log that are looked at first, to find one with rows
FOREVER = "-1"


class Remainder(msgspec.Struct, frozen=True):
    """What is left of a request in one place."""

    where: str
    what: str
    until: str


class Erased(msgspec.Struct, frozen=True, kw_only=True):
    """What an erasure did. `records`: those that say so, topic-partition@offset; the joiner follows them."""

    model: str
    requests: int
    records: list[str]
    remains: list[Remainder]

    def listing(self) -> Listing:
        """Return what remains as a table."""
        rows = [(remainder.where, remainder.what, remainder.until) for remainder in self.remains]
        return Listing(("where", "what remains of them", "until"), rows)


def erase(
    reader: Reader,
    writer: Writer,
    topics: Topics,
    key: IdKey,
    model: str,
    request_ids: Sequence[str],
    by: str,
    now: int,
) -> tuple[int, list[str]]:
    """Write that these requests of a model are to be forgotten; return how many they are, and the records.

    by, now: who wants it, and when, in ms since 1970.

    Raises:
        Refused: nothing is published of the model, or there is no request, or one that can be none.
        ConfigurationError: the halves were written with another key, so that no request would be found.
    """
    messages = erasures(read_catalogue(reader, topics), topics, key, model, request_ids)
    check_key(reader, topics, key)
    written: list[str] = []
    for message in messages:
        writer.send(message, lambda partition, offset: written.append(f"{topics.halves}-{partition}@{offset}"))
    writer.flush()
    requests = len(set(request_ids))
    act = Act(kind=ActKind.ERASE, model=model, at=format_ts(now), by=by, requests=requests, records=sorted(written))
    writer.send(act_record(topics, act))
    writer.flush()
    return requests, act.records


def check_key(reader: Reader, topics: Topics, key: IdKey) -> None:
    """Return when the rows of the halves were keyed with `key`: a record under another would stop the joiner.

    Raises:
        ConfigurationError: they were keyed with another.
        Refused: there are no rows, so there is nothing to forget.
    """
    for source in sources(reader, topics.halves):
        low, end = reader.bounds(source)
        newest = NEWEST
        while end > low:
            start = max(low, end - newest)
            for record in history(reader, source, start, end):
                block = decode(record)
                if block.batch is None:
                    continue
                if block.stamp.id_key != key.fingerprint:
                    raise ConfigurationError("DRIFTLINE_ID_KEY", f"is not the key that {topics.halves} is written with")
                return
            end, newest = start, newest * 10
    raise Refused(f"{topics.halves} holds no rows: there is nothing to forget")


def erasures(
    catalogue: Catalogue, topics: Topics, key: IdKey, model: str, request_ids: Sequence[str]
) -> list[Outgoing]:
    """Return the records of `driftline.halves` that let the joiner forget these requests of a model.

    They go to every partition that the requests may be on, under any definition of the model that is published.

    Raises:
        Refused: nothing is published of the model, there is no request, or one that can be none.
    """
    definition = definition_of(catalogue, model)
    wanted = list(dict.fromkeys(request_ids))
    if not 0 < len(wanted) <= MAX_REQUESTS:
        raise Refused(f"{len(wanted):,} request ids; give 1 to {MAX_REQUESTS:,}")
    for number, request_id in enumerate(wanted, 1):
        if not 0 < len(request_id) <= MAX_REQUEST_ID:
            raise Refused(f"request id {number} has {len(request_id):,} characters; 1 to {MAX_REQUEST_ID} can be one")
    stamp = definition.stamp(catalogue.version(model), key.fingerprint)
    spreads = {found.spec.spread for found in _definitions(catalogue, model)}
    by_partition: dict[int, list[bytes]] = {}
    for identity in key.requests(model)(wanted):
        halves = topics.halves_partitions
        for partition in {key.half_partition(model, identity, spread=n, partitions=halves) for n in spreads}:
            by_partition.setdefault(partition, []).append(identity)
    return [message for place in sorted(by_partition.items()) for message in _records(topics, model, stamp, *place)]


def remains(
    catalogue: Catalogue, topics: Topics, model: str, retention_ms: Mapping[str, str | None]
) -> list[Remainder]:
    """Return what is left of requests that were erased.

    retention_ms: of each topic, as the broker says it.
    """
    horizon = max(found.spec.horizon_ms for found in _definitions(catalogue, model))

    def until(topic: str) -> str:
        return _days(retention_ms.get(topic))

    redis = str(horizon)
    rows = "their rows: features, prediction, label, under the keyed hash of the request id"
    return [
        Remainder(topics.predictions, "the events as their producer wrote them", until(topics.predictions)),
        Remainder(topics.ground_truth, "the events as their producer wrote them", until(topics.ground_truth)),
        Remainder(topics.halves, rows, until(topics.halves)),
        Remainder(topics.observations, rows, until(topics.observations)),
        Remainder(topics.dead_letters, "coordinates, reason and digest of refused events", until(topics.dead_letters)),
        Remainder("Redis, joiner", "the keyed hash, so that nothing more is taken of it", _days(redis, "the erasure")),
        Remainder(
            "Redis, detector",
            "values without an id that wait for labels",
            _days(redis, "the prediction"),
        ),
        Remainder("statistics, alerts, baselines", "what they added to counts and sums", "for ever"),
    ]


def _definitions(catalogue: Catalogue, model: str) -> list[Definition]:
    return [found for found in catalogue.definitions.values() if found.model == model]


def _records(topics: Topics, model: str, stamp: Stamp, partition: int, ids: Sequence[bytes]) -> Iterator[Outgoing]:
    for first in range(0, len(ids), MAX_ROWS):
        rows = pa.RecordBatch.from_pydict({ID: pa.array(ids[first : first + MAX_ROWS], pa.binary(ID_BYTES))})
        value, headers = encode(Block(BlockKind.ERASURE, model, "", stamp, rows))
        yield Outgoing(topics.halves, value, partition=partition, headers=headers)


def _days(retention_ms: str | None, since: str = "they were written") -> str:
    if retention_ms is None or retention_ms == FOREVER:
        return "as long as the topic is kept"
    days = int(retention_ms) / DAY_MS
    return f"{days:,.3g} days after {since}"
