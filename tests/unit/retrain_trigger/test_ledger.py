from __future__ import annotations

import msgspec
import pytest

from services.retrain_trigger.ledger import KEPT, Ledger, decode_entry, encode_entry, ledger_record
from services.retrain_trigger.policy import Standing
from shared.errors import Malformed
from shared.events.retraining import Retraining, RetrainingState
from shared.identity import model_partition
from shared.topics import Topics
from shared.values import format_ts

REQUESTED, HELD, ACCEPTED, FAILED = (
    RetrainingState.REQUESTED,
    RetrainingState.HELD,
    RetrainingState.ACCEPTED,
    RetrainingState.FAILED,
)


def entry(effect: str, state: RetrainingState, offset: int = 0, incident: str | None = "i1") -> Retraining:
    return Retraining(
        effect_id=effect,
        model="car_loan",
        model_version="v3",
        state=state,
        cause="on_drift",
        reason=None,
        incident_id=incident,
        alert_id=f"a{offset}",
        alerts_partition=1,
        alerts_offset=offset,
        decided_at=format_ts(1_000 * offset),
        watched_since=format_ts(7),
    )


def ledger(*entries: Retraining) -> Ledger:
    built = Ledger()
    for each in entries:
        built.absorb(each)
    return built


def test_a_request_without_an_outcome_is_unanswered() -> None:
    book = ledger(entry("a", REQUESTED, 1), entry("b", REQUESTED, 2), entry("a", ACCEPTED, 1), entry("c", HELD, 3))

    assert [e.effect_id for e in book.unanswered()] == ["b"]


@pytest.mark.parametrize("state", [s for s in RetrainingState if s not in (HELD, FAILED, RetrainingState.REJECTED)])
def test_a_request_on_its_way_or_done_counts_against_the_next(state: RetrainingState) -> None:
    assert ledger(entry("a", REQUESTED, 5), entry("a", state, 5)).standing("car_loan") == Standing(
        5_000, frozenset({"i1"})
    )


@pytest.mark.parametrize("state", [HELD, FAILED, RetrainingState.REJECTED])
def test_what_started_nothing_does_not_count_against_the_next(state: RetrainingState) -> None:
    assert ledger(entry("a", state, 5)).standing("car_loan") == Standing()


def test_the_ledger_knows_every_decision_and_the_highest_alert_that_one_consumed() -> None:
    book = ledger(entry("a", REQUESTED, 9), entry("b", HELD, 12), entry("a", FAILED, 9))

    assert [book.knows("car_loan", effect) for effect in "abc"] == [True, True, False]
    assert [book.position(partition) for partition in (0, 1)] == [0, 13]
    assert book.watched_since_ms("car_loan") == 7


def test_a_storm_of_holds_forgets_no_request() -> None:
    book = ledger(entry("asked", ACCEPTED, 1), *(entry(f"h{n}", HELD, n) for n in range(2, KEPT + 10)))

    assert book.standing("car_loan") == Standing(1_000, frozenset({"i1"}))
    assert not book.knows("car_loan", "h2")
    assert book.knows("car_loan", f"h{KEPT + 9}")


def test_an_entry_is_a_cloudevent_on_the_partition_of_its_model() -> None:
    topics = Topics(alerts_partitions=3)
    record = ledger_record(topics, entry("a", ACCEPTED), source="/s", time="2026-01-01T00:00:00.000Z")

    assert (record.topic, record.key, record.partition) == ("retraining", b"a", model_partition("car_loan", 3))
    assert record.value is not None
    event = msgspec.json.decode(record.value)
    assert {name: event[name] for name in ("id", "type", "subject", "specversion")} == {
        "id": "a.accepted",
        "type": "driftline.retraining.accepted",
        "subject": "car_loan",
        "specversion": "1.0",
    }
    assert decode_entry(record.value) == entry("a", ACCEPTED)


@pytest.mark.parametrize("value", [b"", b"{}", b"\xff", b"[" * 100_000, b"null"])
def test_what_is_no_entry_is_refused(value: bytes) -> None:
    with pytest.raises(Malformed):
        decode_entry(value)


def test_an_entry_with_a_time_that_is_none_is_refused() -> None:
    broken = msgspec.structs.replace(entry("a", REQUESTED), decided_at="yesterday")

    with pytest.raises(Malformed, match="ts"):
        decode_entry(encode_entry(broken, source="/s", time=""))
