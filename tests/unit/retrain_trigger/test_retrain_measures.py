"""What the retrain trigger shows of its decisions and its requests."""

from __future__ import annotations

from services.retrain_trigger.ledger import KEPT
from services.retrain_trigger.outbox import MAX_ATTEMPTS
from shared.feed import Feed
from shared.http import HttpResponse
from tests.kit.measuring import Shown, shown
from tests.kit.retraining import DAY, START, TOPICS, URL, World


def after(world: World) -> tuple[Feed, Shown]:
    feed = world.feed()
    while feed.step(0.0):
        pass
    return feed, shown(feed.measures())


def written(**counted: int) -> dict[tuple[str, ...], float]:
    return {(state,): counted.get(state, 0) for state in ("requested", "held", "accepted", "failed")}


def test_a_trigger_that_begins_counts_from_zero() -> None:
    _, counted = after(World())

    assert counted["records_in_total"] == counted["retrain_attempts_total"] == counted["retrain_outbox_requests"] == 0
    assert counted["retrain_decisions_total"] == written()
    assert counted["retrain_failures_total"] == {("refused",): 0, ("later",): 0}
    assert (counted["retrain_ledger_decisions"], counted["retrain_ledger_decisions_limit"]) == (0, KEPT)


def test_decisions_are_counted_by_state() -> None:
    world = World()
    last = [world.incident("i1"), world.incident("i2"), world.incident("i3", START + 5_000)][-1]
    world.append(b"no alert")
    _, counted = after(world)

    assert counted["records_in_total"] == 4
    assert counted["retrain_decisions_total"] == written(requested=1, held=2, accepted=1)
    assert counted["retrain_attempts_total"] == 1
    assert counted["retrain_ledger_decisions"] == 2
    assert counted["position"] == {(TOPICS.alerts, str(last.partition)): last.offset + 2}
    letters = counted["dead_letters_total"]
    assert isinstance(letters, dict)
    assert letters["json",] + letters["schema",] == sum(letters.values()) == 1


def test_a_receiver_that_is_away_is_counted_until_it_is_given_up() -> None:
    world = World()
    world.orchestrator.answers[URL] = None
    world.incident("i1")
    feed, first = after(world)
    for _ in range(MAX_ATTEMPTS):
        world.clock.sleep(3_600)
        feed.step(0.0)
    last = shown(feed.measures())

    assert (first["retrain_attempts_total"], first["retrain_outbox_requests"]) == (1, 1)
    assert first["retrain_failures_total"] == {("refused",): 0, ("later",): 1}
    assert (last["retrain_attempts_total"], last["retrain_outbox_requests"]) == (MAX_ATTEMPTS, 0)
    assert last["retrain_failures_total"] == {("refused",): 0, ("later",): MAX_ATTEMPTS}
    assert last["retrain_given_up_total"] == 1
    assert last["retrain_decisions_total"] == written(requested=1, failed=1)


def test_a_refusal_is_counted_as_one() -> None:
    world = World()
    world.orchestrator.answers[URL] = HttpResponse(400)
    world.incident("i1", START + DAY)
    _, counted = after(world)

    assert counted["retrain_failures_total"] == {("refused",): 1, ("later",): 0}
    assert counted["retrain_given_up_total"] == 0
    assert counted["last_record_timestamp_seconds"] == (START + DAY) / 1000
