"""Limits of dead letters: what halts an input log, what it keeps, and how it goes on."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from shared.definition import resumption
from shared.errors import Corrupt
from shared.events.block import decode
from shared.events.halt import Halt
from shared.ingest.limit import DeadLetterLimit, RefusalWindow
from shared.ingest.options import IngestOptions
from shared.log import Record, TopicPartition
from tests.kit.ingest import NOW, TOPICS, Ingest, label, labels, prediction, predictions

SMALL = IngestOptions(linger_ms=0, limit=DeadLetterLimit(ratio=0.5, run=8, window=10))
FIRST, SECOND = TopicPartition(TOPICS.predictions, 0), TopicPartition(TOPICS.predictions, 1)


def resume(service: Ingest, source: TopicPartition, below: int) -> None:
    message = resumption(TOPICS, source, below)
    service.catalogue.absorb(Record(TOPICS.control, 0, 99, NOW, message.key, message.value))


def halts(service: Ingest) -> list[Halt]:
    blocks = [decode(record) for record in service.broker.records(TOPICS.halves)]
    return [block.halt for block in blocks if block.halt is not None]


def test_garbage_alone_halts_its_log_and_no_other() -> None:
    service = predictions(options=SMALL)
    service.write(*[b"garbage"] * 100, partition=0)
    service.write(*[prediction(request_id=f"r{n}") for n in range(700)], partition=1)
    with capture_logs() as lines:
        service.take()

    assert len(service.rows) == 700
    assert [(letter.partition, letter.offset) for letter in service.letters] == [(0, n) for n in range(8)]
    assert service.stage.halted() == {
        FIRST: "predictions/0 is not read from offset 8 on: 8 dead letters in a row, the last one for json; "
        "look at them, then `driftline dead-letters resume predictions/0`"
    }
    assert [(line["log_level"], line["event"], line["partition"], line["offset"]) for line in lines] == [
        ("critical", "halted", 0, 8)
    ]


def test_a_halted_log_takes_no_room_and_is_committed_up_to_its_halt() -> None:
    service = predictions(options=SMALL)
    service.take(*[b"garbage"] * 100)
    assert service.stage._offsets.in_hand == 0
    service.stage.close()
    assert service.committed() == 8


def test_a_share_over_the_limit_halts_once_there_are_enough_records() -> None:
    service = predictions(options=SMALL)
    service.take(*[prediction(), b"garbage"] * 10, *[b"garbage"] * 5, *[prediction()] * 50)

    assert service.stage.halted()[FIRST].startswith(
        "predictions/0 is not read from offset 21 on: 6 dead letters among the last 10 records"
    )
    assert len(service.reasons) == 11


def test_what_was_read_before_the_halt_is_written() -> None:
    service = predictions(options=SMALL)
    service.take(prediction(request_id="before"), *[b"garbage"] * 8, prediction(request_id="after"))

    assert [row["src_offset"] for row in service.rows] == [0]


def test_a_log_goes_on_where_it_was_halted_and_its_dead_letters_up_to_there_are_accepted() -> None:
    service = predictions(options=SMALL)
    service.take(*[b"garbage"] * 100, prediction(request_id="after"))
    resume(service, FIRST, 101)
    with capture_logs() as lines:
        service.take()

    assert service.stage.halted() == {}
    assert [letter.offset for letter in service.letters] == list(range(100))
    assert [row["src_offset"] for row in service.rows] == [100]
    assert [line["event"] for line in lines] == ["resumed"]


def test_what_comes_after_the_accepted_letters_counts_anew() -> None:
    service = predictions(options=SMALL)
    service.take(*[b"garbage"] * 8)
    resume(service, FIRST, 8)
    service.take(*[b"garbage"] * 7)
    assert service.stage.halted() == {}
    service.take(b"garbage")
    assert list(service.stage.halted()) == [FIRST]


def test_an_earlier_resumption_does_not_release_a_later_halt() -> None:
    service = predictions(options=SMALL)
    resume(service, FIRST, 4)
    service.take(*[b"garbage"] * 20)

    assert service.stage.halted()[FIRST].startswith("predictions/0 is not read from offset 12 on")
    service.take()
    assert list(service.stage.halted()) == [FIRST]


def test_a_halt_and_its_end_stand_in_the_log() -> None:
    service = predictions(options=SMALL)
    service.take(*[b"garbage"] * 8)
    resume(service, FIRST, 8)
    service.take()

    why = "8 dead letters in a row, the last one for json"
    assert halts(service) == [Halt(*FIRST, 8, why), Halt(*FIRST, 8, why, is_over=True)]


def test_labels_are_halted_and_resumed_alike() -> None:
    service = labels(options=SMALL)
    source = TopicPartition(TOPICS.ground_truth, 0)
    service.take(*[b"garbage"] * 8, label())
    assert list(service.stage.halted()) == [source]
    resume(service, source, 9)
    service.take()
    assert (service.stage.halted(), len(service.rows)) == ({}, 1)


def test_a_successor_reads_on_at_the_halt_and_halts_again() -> None:
    service = predictions(options=SMALL)
    service.take(*[b"garbage"] * 100)
    service.stage.close()
    service.restart()
    service.take()

    assert sorted(letter.offset for letter in service.letters) == list(range(16))
    assert service.stage.halted()[FIRST].startswith("predictions/0 is not read from offset 16 on")


def test_a_halted_log_that_goes_to_another_member_is_no_longer_halted_here() -> None:
    service = predictions(options=SMALL)
    service.write(*[b"garbage"] * 100, partition=1)
    service.take()
    assert list(service.stage.halted()) == [SECOND]
    service.broker.group_reader("g", service.input)
    service.take()
    assert service.stage.halted() == {}


def test_garbage_short_of_the_limits_halts_nothing() -> None:
    window = RefusalWindow(DeadLetterLimit(run=2_000))
    assert not any(window.refuse() for _ in range(999))
    window.accept(1_000)
    for _ in range(500):
        assert window.refuse() is None
    assert window.refuse() == "501 dead letters among the last 1000 records"


def test_one_good_record_ends_a_row() -> None:
    window = RefusalWindow(DeadLetterLimit())
    assert not any(window.refuse() for _ in range(199))
    window.accept(1)
    assert not any(window.refuse() for _ in range(199))
    assert window.refuse() == "200 dead letters in a row"


def test_nothing_is_too_much_where_all_may_be_refused() -> None:
    window = RefusalWindow(DeadLetterLimit(ratio=1.0, run=5, window=10))
    assert not any(window.refuse() for _ in range(100))


def test_a_resumption_that_is_no_offset_is_corrupt() -> None:
    service = predictions()
    with pytest.raises(Corrupt, match="not an offset to resume predictions at"):
        service.catalogue.absorb(Record(TOPICS.control, 0, 1, NOW, b"predictions/resumed/0", b"soon"))
