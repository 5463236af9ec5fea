"""Which alerts the retrain trigger acts on, and that neither crashes nor restarts change or repeat it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import pytest

from shared.errors import LogIdentity
from shared.events.alert import IncidentEvent
from shared.events.retraining import RetrainingEvent
from shared.failpoints import Died
from shared.http import HttpResponse
from shared.log import Outgoing, Record, TopicPartition
from shared.runtime import drain
from tests.kit.alerts import MODEL, heartbeat_bytes
from tests.kit.retraining import DAY, HOUR, START, TOPICS, URL, World

OPENED, ESCALATED, UPDATED = IncidentEvent.OPENED, IncidentEvent.ESCALATED, IncidentEvent.UPDATED


def test_an_incident_is_written_down_then_sent_then_answered() -> None:
    world = World()
    record = world.incident("i1")

    world.run()

    requested, accepted = world.entries()
    assert (requested.state, requested.alerts_partition, requested.alerts_offset) == (
        "requested",
        record.partition,
        record.offset,
    )
    assert (accepted.state, accepted.run_url, accepted.attempts) == ("accepted", "https://ci/run/1", 1)
    assert world.orchestrator.keys == [requested.effect_id] == [accepted.effect_id]
    body = msgspec.json.decode(world.orchestrator.asked[0].body, type=RetrainingEvent)
    assert (body.type, body.subject, body.data) == ("driftline.retraining.requested", MODEL, requested)


def test_nothing_is_sent_before_the_decision_is_acknowledged() -> None:
    world = World()
    world.incident("i1")

    with pytest.raises(Died):
        drain([world.feed(fail="retrain_trigger.after_decision:exit@1")])

    assert world.story() == [("i1", "requested", None)]
    assert world.orchestrator.asked == []


@pytest.mark.parametrize("position", ["before the alert", "after the alert"])
def test_a_crash_between_writing_down_and_sending_sends_with_the_same_key(position: str) -> None:
    world = World()
    world.incident("i1")
    with pytest.raises(Died):
        drain([world.feed(fail="retrain_trigger.after_decision:exit@1")])

    world.run({} if position == "before the alert" else world.end())

    assert world.story() == [("i1", "requested", None), ("i1", "accepted", None)]
    assert world.orchestrator.keys == [world.entries()[0].effect_id]


def test_a_crash_before_the_answer_is_written_down_sends_the_same_key_again() -> None:
    world = World()
    world.incident("i1")
    with pytest.raises(Died):
        drain([world.feed(fail="retrain_trigger.after_send:exit@1")])
    world.orchestrator.answers[URL] = HttpResponse(409)

    world.run()

    effect = world.entries()[0].effect_id
    assert world.orchestrator.keys == [effect, effect]
    assert world.story() == [("i1", "requested", None), ("i1", "accepted", None)]


def test_a_crash_after_the_answer_is_written_down_sends_nothing_again() -> None:
    world = World()
    world.incident("i1")
    with pytest.raises(Died):
        drain([world.feed(fail="retrain_trigger.after_outcome:exit@1")])

    world.run()

    assert len(world.orchestrator.keys) == 1
    assert world.story() == [("i1", "requested", None), ("i1", "accepted", None)]


def timeline(world: World) -> list[Callable[[], Record]]:
    """Return appends that meet every branch: two schedules, a cool-down, an escalation, repeats, a dead letter."""
    appends: list[Callable[[], Record]] = [
        partial(world.append, heartbeat_bytes(f"h{hour}"), START + hour * HOUR) for hour in range(0, 80, 5)
    ]
    appends.insert(2, lambda: world.incident("i1", START + 6 * HOUR))
    appends.insert(3, lambda: world.incident("i1", START + 7 * HOUR, UPDATED))
    appends.insert(4, lambda: world.incident("i1", START + 7 * HOUR))
    appends.insert(5, lambda: world.incident("i2", START + 8 * HOUR))
    appends.insert(6, lambda: world.append(b"not an alert", START + 8 * HOUR))
    appends.insert(12, lambda: world.incident("i2", START + 48 * HOUR, ESCALATED))
    appends.insert(15, lambda: world.incident("i1", START + 60 * HOUR, ESCALATED))
    return appends


def test_decisions_do_not_depend_on_where_the_service_was_restarted() -> None:
    whole = World("on_drift OR scheduled_daily", cool_down="12h")
    for append in timeline(whole):
        append()
    whole.run()
    decided = [entry for entry in whole.entries() if entry.state != "accepted"]
    assert [(entry.incident_id, entry.state.value, entry.reason) for entry in decided] == [
        ("i1", "requested", None),
        ("i2", "held", "cooling_down"),
        (None, "requested", None),
        ("i2", "requested", None),
        (None, "held", "cooling_down"),
        ("i1", "held", "already_decided"),
        (None, "requested", None),
    ]

    for cut in range(1, len(timeline(whole))):
        parted = World("on_drift OR scheduled_daily", cool_down="12h")
        for append in timeline(parted)[:cut]:
            append()
        parted.run()
        position = parted.end()
        for append in timeline(parted)[cut:]:
            append()
        parted.run(position)

        assert [entry for entry in parted.entries() if entry.state != "accepted"] == decided, f"cut at {cut}"
        assert sorted(parted.orchestrator.keys) == sorted(whole.orchestrator.keys)


def test_a_group_that_lost_its_position_repeats_no_decision() -> None:
    world = World("on_drift OR scheduled_daily", cool_down="12h")
    for append in timeline(world):
        append()
    world.run()
    before, asked = world.entries(), world.orchestrator.keys

    world.run()

    assert world.entries() == before
    assert world.orchestrator.keys == asked


def test_a_new_rule_acts_on_what_comes_and_not_on_the_past() -> None:
    world = World("on_accuracy_drop")
    world.incident("i1")
    world.run()
    world.models = {MODEL: world.retrainable("on_drift")}
    position = world.end()

    world.incident("i2", START + 5 * DAY)
    world.incident("i3", START + 5 * DAY)
    world.run(position)

    assert world.story() == [("i2", "requested", None), ("i3", "held", "cooling_down"), ("i2", "accepted", None)]


def test_a_schedule_keeps_its_origin_when_the_first_heartbeats_are_out_of_retention() -> None:
    world = World("scheduled_weekly")
    for day in range(8):
        last = world.append(heartbeat_bytes(f"h{day}"), START + day * DAY)
    world.run()
    world.broker.delete_records(TopicPartition(TOPICS.alerts, last.partition), last.offset)
    position = {last.partition: last.offset + 1}

    for day in range(8, 15):
        world.append(heartbeat_bytes(f"h{day}"), START + day * DAY)
    world.run(position)

    requested = [entry for entry in world.entries() if entry.state == "requested"]
    assert [entry.decided_at[:10] for entry in requested] == ["1972-10-04", "1972-10-11"]


def test_an_alert_that_the_host_left_out_is_decided_all_the_same() -> None:
    world = World()
    first, missed, last = (world.incident(name, START + n * DAY) for n, name in enumerate(("i1", "i2", "i3")))
    stage = world.stage()
    stage.assigned(frozenset({0, 1}))

    stage.handle(first)
    stage.handle(last)
    stage.handle(missed)

    assert world.story() == [(name, "requested", None) for name in ("i1", "i2", "i3")]


def test_a_record_of_a_partition_that_is_not_ours_changes_nothing() -> None:
    world = World()
    record = world.incident("i1")
    stage = world.stage()
    stage.assigned(frozenset({0, 1}) - {record.partition})

    stage.handle(record)

    assert world.entries() == []


def test_a_model_without_a_rule_is_left_alone() -> None:
    world = World()
    world.incident("i1", model="another")

    world.run()

    assert world.entries() == []


def test_what_is_no_alert_is_dead_lettered_and_the_next_one_is_decided() -> None:
    world = World()
    records = [world.append(value) for value in (b"", None, b"{", b"{}", b"\xff", b"[" * 100_000)]
    world.incident("i1")

    world.run()

    reasons = ["empty", "tombstone", "json", "schema"]
    assert world.dead_letters()[:4] == list(zip(reasons, [r.offset for r in records], strict=False))
    assert len(world.dead_letters()) == len(records)
    assert world.story()[0] == ("i1", "requested", None)


def test_a_ledger_of_another_log_of_alerts_stops_the_service() -> None:
    world = World()
    world.incident("i1")
    world.run()
    world.broker.delete(TOPICS.alerts)
    world.broker.create(*TOPICS.specs())

    with pytest.raises(LogIdentity, match="a new log of alerts needs a new retraining"):
        world.run()


def test_a_stranger_in_the_ledger_is_dead_lettered() -> None:
    world = World()
    world.broker.append(Outgoing(TOPICS.retraining, b'{"state": "promoted"}', key=b"x", partition=0))
    world.broker.append(Outgoing(TOPICS.retraining, None, key=b"y", partition=0))

    world.run()

    assert world.dead_letters() == [("schema", 0)]
