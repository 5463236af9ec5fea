"""The loop of the ingest services: blocks, dead letters, commits, crashes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.prediction_consumer import wire as prediction_consumer
from shared.errors import ConfigurationError, Unavailable
from shared.events.block import BlockKind, decode
from shared.failpoints import Died, Failpoints
from shared.ingest.limit import DeadLetterLimit
from shared.ingest.options import IngestOptions
from shared.ingest.stage import COMMIT_SECONDS
from shared.log import Outgoing, Writer
from shared.settings import Settings
from tests.kit.ingest import AT_ONCE, KEY, NOW, TOPICS, Ingest, label, labels, prediction, predictions

LINGER = IngestOptions(linger_ms=100)


def named(*names: str) -> list[dict[str, object]]:
    return [prediction(request_id=name) for name in names]


def test_a_block_waits_for_rows_of_several_polls() -> None:
    service = predictions(options=LINGER)
    service.take(*named("a"))
    service.clock.sleep(0.05)
    service.take(*named("b"))
    assert service.blocks == []
    service.clock.sleep(0.05)
    service.stage.step(0.0)
    assert [block.rows for block in service.blocks] == [2]


def test_a_block_is_sent_when_it_is_full() -> None:
    service = predictions(options=LINGER)
    service.take(*named(*map(str, range(2_001))))
    assert [block.rows for block in service.blocks] == [2_000]
    service.stage.close()
    assert [block.rows for block in service.blocks] == [2_000, 1]


def test_log_time_where_the_log_has_none_is_the_newest_timestamp_of_its_rows() -> None:
    service = predictions()
    service.write(*named("a"), ts_ms=NOW + 7)
    service.write(*named("b"), ts_ms=NOW + 3)
    service.take()
    [record] = service.broker.records(TOPICS.halves)
    assert record.timestamp_ms == NOW + 7


def test_offsets_are_committed_once_their_blocks_are_acknowledged() -> None:
    service = predictions(options=LINGER)
    service.take(*named("a", "b"))
    service.clock.sleep(COMMIT_SECONDS)
    service.stage.step(0.0)
    service.write(*named("c"))
    assert service.committed() == 2


def test_offsets_are_not_committed_while_a_row_waits_in_its_block() -> None:
    service = predictions(options=IngestOptions(linger_ms=10_000))
    service.take(*named("a"), b"garbage", *named("b"))
    service.clock.sleep(5.0)
    service.stage.step(0.0)
    assert (service.reasons, service.committed()) == (["json"], 0)


def test_offsets_are_not_committed_while_an_acknowledgement_is_missing() -> None:
    service = predictions()
    service.write(*named("a"))
    service.broker.away = True
    service.clock.sleep(1.0)
    with pytest.raises(Unavailable):
        service.stage.step(0.0)
    service.broker.away = False
    assert service.committed() == 0


class Interrupted:
    """A writer that is away at its n-th call of `send`, once."""

    def __init__(self, writer: Writer, at: int) -> None:
        self._writer = writer
        self._left = at
        self.poll, self.flush, self.close = writer.poll, writer.flush, writer.close

    def send(self, message: Outgoing, on_ack: Callable[[int, int], None] | None = None) -> None:
        self._left -= 1
        if self._left == 0:
            raise Unavailable("away")
        self._writer.send(message, on_ack)


@pytest.mark.parametrize("at", range(1, 5))
def test_an_outage_at_any_send_loses_and_repeats_nothing(at: int) -> None:
    service = predictions()
    writer = Interrupted(service.broker.writer(), at)
    reader = service.broker.group_reader("other", service.input)
    stage = prediction_consumer.build(reader, writer, service.clock, TOPICS, service.catalogue, KEY, AT_ONCE)
    service.write(*named("a"), b"garbage", prediction(model_version="v2"), b"more", *named("b"))
    with pytest.raises(Unavailable):
        stage.step(0.0)
    while stage.step(0.0):
        pass
    stage.close()
    assert sorted(row["src_offset"] for row in service.rows) == [0, 2, 4]
    assert [letter.offset for letter in service.letters] == [1, 3]


def test_rows_in_hand_of_a_revoked_partition_are_left_to_its_new_owner() -> None:
    service = predictions(options=LINGER)
    service.write(*named("a", "b"), partition=0)
    service.write(*named("c", "d"), partition=1)
    service.stage.step(0.0)
    other = prediction_consumer.build(
        service.broker.group_reader("g", service.input),
        service.broker.writer(),
        service.clock,
        TOPICS,
        service.catalogue,
        KEY,
        LINGER,
    )
    for stage in (service.stage, other, service.stage, other):
        stage.step(0.0)
    service.clock.sleep(1.0)
    service.stage.step(0.0)
    other.step(0.0)
    placed = [(row["src_partition"], row["src_offset"]) for row in service.rows]
    assert sorted(placed) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert [block.rows for block in service.blocks] == [2, 2]


def test_what_a_poll_returns_is_kept_when_it_lost_another_partition() -> None:
    service = predictions()
    service.take(*named("a"))
    service.broker.group_reader("g", service.input)  # a second member; the next poll gives up partition 1
    service.write(*named("b"), partition=0)
    service.stage.step(0.0)
    assert [row["src_offset"] for row in service.rows] == [0, 1]


@pytest.mark.parametrize("hit", [1, 2, 3])
@pytest.mark.parametrize("place", ["after_poll", "after_send", "before_commit", "after_commit"])
def test_a_crash_anywhere_loses_nothing(place: str, hit: int) -> None:
    service = predictions(failpoints=Failpoints(f"prediction_consumer.{place}:exit@{hit}"))
    for batch in (["a", "b"], ["c"], ["d"], ["e"]):
        service.write(*named(*batch), b"garbage")
    with pytest.raises(Died):
        _work(service)
    service.restart()
    service.clock.sleep(1.0)
    service.take()
    read = set(range(len(service.broker.records(service.input, 0))))
    assert {row["src_offset"] for row in service.rows} | {letter.offset for letter in service.letters} == read


def _work(service: Ingest) -> None:
    for _ in range(10):
        service.clock.sleep(1.0)
        service.stage.step(0.0)
        service.write(*named("late"))


def test_a_second_dead_letter_of_a_record_has_the_key_of_the_first() -> None:
    service = predictions()
    service.take(b"garbage")
    service.restart()
    service.take()
    keys = [record.key for record in service.broker.records(TOPICS.dead_letters)]
    assert keys == [b"predictions/0/0"] * 2


def test_a_silent_partition_gets_a_tick_every_five_seconds() -> None:
    service = predictions()
    service.clock.sleep(4.9)
    service.take(*named("a"))
    [busy] = {record.partition for record in service.broker.records(TOPICS.halves)}
    service.clock.sleep(0.1)
    service.take()
    assert service.ticks == [1 - busy]
    service.clock.sleep(4.9)
    service.take()
    assert sorted(service.ticks) == [0, 1]


def test_a_tick_has_no_model_and_no_rows() -> None:
    service = predictions()
    service.clock.sleep(5.0)
    service.take()
    ticks = [decode(record) for record in service.broker.records(TOPICS.halves)]
    assert [(tick.kind, tick.model, tick.rows) for tick in ticks] == [(BlockKind.TICK, "", 0)] * 2


def test_ground_truth_consumer_does_not_tick() -> None:
    service = labels()
    service.clock.sleep(60.0)
    service.take(label())
    assert service.ticks == []


def test_closing_sends_what_is_in_hand_and_commits_it() -> None:
    service = predictions(options=LINGER)
    service.take(*named("a", "b"))
    service.stage.close()
    service.stage.close()
    service.write(*named("c"))
    assert (len(service.rows), service.committed()) == (2, 2)


def test_old_records_are_taken_where_a_backfill_is_asked_for() -> None:
    service = labels(options=IngestOptions(linger_ms=0, accept_stale=True))
    service.write(label(), ts_ms=NOW - 10**11)
    service.take()
    assert len(service.rows) == 1


def test_options_come_from_the_environment() -> None:
    chosen = Settings(block_linger="2s", dead_letter_run=7, dead_letter_ratio=0.25)
    limit = DeadLetterLimit(ratio=0.25, run=7)
    assert IngestOptions.of(chosen, accept_stale=True) == IngestOptions(2_000, accept_stale=True, limit=limit)
    with pytest.raises(ConfigurationError, match="DRIFTLINE_BLOCK_LINGER"):
        IngestOptions.of(Settings(block_linger="soon"))


def test_reading_stops_while_too_much_is_unacknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.ingest.stage.MAX_ROWS_IN_HAND", 2)
    service = predictions(options=LINGER)
    service.take(*named("a", "b"))
    service.write(*named("c"))
    service.stage.step(0.0)
    assert len(service.blocks) == 0
    service.clock.sleep(0.1)
    service.stage.step(0.0)
    service.clock.sleep(0.1)
    service.take()
    service.clock.sleep(0.1)
    service.take()
    assert [block.rows for block in service.blocks] == [2, 1]
