from __future__ import annotations

from typing import Any

import msgspec
import pyarrow as pa
import pytest

from services.cli.commands.tail import TOPICS
from services.cli.lines import Sought, TailTopic, lines
from shared.errors import ConfigurationError
from shared.events.block import Block, BlockKind, Chain, Stamp, encode
from shared.identity import IdKey
from shared.log import Record
from shared.topics import Topics

KEY = IdKey(b"key")
MINE, OTHER = KEY.request("m", "mine"), KEY.request("m", "other")


def served() -> Record:
    batch = pa.record_batch(
        {
            "id": pa.array([OTHER, MINE], pa.binary(16)),
            "ts": pa.array([0, 1_553_994_000_000], pa.int64()),
            "f:x": pa.array([1.0, float("nan")]),
            "f:colour": pa.array(["red", None]).dictionary_encode(),
            "prediction": pa.array([1.0, 2.5]),
        }
    )
    block = Block(
        kind=BlockKind.SERVED,
        model="m",
        model_version="1",
        stamp=Stamp(3, "hash", 1000, KEY.fingerprint),
        batch=batch,
        chain=Chain(2, 131_072, -1),
    )
    value, headers = encode(block)
    return Record("driftline.observations", 1, 9, 1_700_000_000_000, None, value, headers)


def shown(topic: TailTopic, record: Record, identities: frozenset[bytes] | None = None, key: IdKey = KEY) -> list[Any]:
    sought = None if identities is None else Sought(identities, key.fingerprint)
    return [msgspec.json.decode(line) for line in lines(topic, sought)(record)]


HEAD = {
    "kind": "served",
    "model": "m",
    "model_version": "1",
    "topic": "driftline.observations",
    "partition": 1,
    "offset": 9,
    "log_time": "2023-11-14T22:13:20.000Z",
    "configuration_version": 3,
    "rows": 2,
    "shard": 2,
    "seq": 131_072,
    "prev": -1,
}


def test_a_block_is_one_line_of_its_headers() -> None:
    assert shown(TailTopic.OBSERVATIONS, served()) == [HEAD]


def test_a_request_shows_its_row_with_every_column() -> None:
    row = {
        "row": 1,
        "id": MINE.hex(),
        "ts": "2019-03-31T01:00:00.000Z",
        "f:x": None,
        "f:colour": None,
        "prediction": 2.5,
    }

    assert shown(TailTopic.OBSERVATIONS, served(), frozenset({MINE})) == [HEAD | row]


def test_a_request_that_is_not_in_the_block_shows_nothing() -> None:
    assert shown(TailTopic.OBSERVATIONS, served(), frozenset({KEY.request("other", "mine")})) == []


def test_a_tick_has_no_rows() -> None:
    value, headers = encode(Block(kind=BlockKind.TICK))
    tick = Record("driftline.halves", 0, 0, 0, None, value, headers)

    assert shown(TailTopic.HALVES, tick, frozenset({MINE})) == []
    assert shown(TailTopic.HALVES, tick)[0]["kind"] == "tick"


def test_an_event_is_shown_as_it_was_written_and_a_tombstone_not_at_all() -> None:
    record = Record("alerts", 0, 0, 0, b"m", b'{"id":"a"}')

    assert list(lines(TailTopic.ALERTS, None)(record)) == [b'{"id":"a"}']
    assert list(lines(TailTopic.RETRAINING, None)(Record("retraining", 0, 1, 0, b"k", None))) == []


@pytest.mark.parametrize("topic", list(TailTopic))
def test_every_topic_of_the_command_line_is_a_topic_of_the_installation(topic: TailTopic) -> None:
    topics = Topics(prefix="eu.")

    assert topic.named(topics) in {spec.name for spec in topics.specs()}
    assert topic in TOPICS


def test_a_request_is_not_sought_with_another_key() -> None:
    with pytest.raises(ConfigurationError, match=r"DRIFTLINE_ID_KEY.*is not the key that driftline\.observations was"):
        shown(TailTopic.OBSERVATIONS, served(), frozenset({MINE}), IdKey(b"another"))
