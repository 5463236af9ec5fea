"""What becomes of a decision at its receiver: answers, waits, refusals, and what may be said of it."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from services.retrain_trigger.outbox import MAX_ATTEMPTS
from shared.failpoints import Died
from shared.http import HttpResponse
from shared.runtime import drain
from tests.kit.retraining import ACCEPT, DAY, HOUR, START, TOPICS, URL, World


def test_a_receiver_that_is_away_is_asked_again_with_longer_waits_until_it_answers() -> None:
    world = World()
    world.incident("i1")
    world.orchestrator.answers[URL] = None
    feed = world.feed()
    waits = []
    for wait in (2.0, 8.0, 32.0):
        drain([feed])
        waits.append(len(world.orchestrator.asked))
        world.clock.sleep(wait)
    world.orchestrator.answers[URL] = ACCEPT

    drain([feed])

    assert waits == [1, 2, 3]
    assert len(set(world.orchestrator.keys)) == 1
    assert [(e.state, e.attempts) for e in world.entries()] == [("requested", 0), ("accepted", 4)]


def test_a_receiver_that_stays_away_fails_the_request_and_frees_the_model() -> None:
    world = World()
    world.incident("i1")
    world.orchestrator.answers[URL] = HttpResponse(503)
    feed = world.feed()
    for _ in range(MAX_ATTEMPTS):
        drain([feed])
        world.clock.sleep(600.0)
    assert world.story()[-1] == ("i1", "failed", "HTTP 503; gave up after 6 attempts")
    world.orchestrator.answers[URL] = ACCEPT

    world.incident("i2", START + HOUR)
    drain([feed])

    assert world.story()[2:] == [("i2", "requested", None), ("i2", "accepted", None)]
    assert len(world.orchestrator.asked) == MAX_ATTEMPTS + 1


def test_a_receiver_may_ask_for_a_longer_wait() -> None:
    world = World()
    world.incident("i1")
    world.orchestrator.answers[URL] = HttpResponse(429, {"retry-after": "100"})
    feed = world.feed()
    drain([feed])

    world.clock.sleep(99.0)
    drain([feed])
    assert len(world.orchestrator.asked) == 1

    world.clock.sleep(1.0)
    drain([feed])
    assert len(world.orchestrator.asked) == 2


def test_a_refusal_is_final() -> None:
    world = World()
    world.incident("i1")
    world.orchestrator.answers[URL] = HttpResponse(401)

    world.run()

    assert world.story() == [("i1", "requested", None), ("i1", "failed", "refused: HTTP 401")]


def test_one_models_dead_receiver_does_not_delay_another_model() -> None:
    world = World()
    dead = "http://dead/"
    world.orchestrator.answers[dead] = None
    world.models["stuck"] = world.retrainable("on_drift", url=dead)
    world.incident("s1", model="stuck")
    world.incident("i1")

    world.run()

    assert ("i1", "accepted", None) in world.story()
    assert [request.url for request in world.orchestrator.asked].count(dead) == 1


def test_a_request_of_a_model_that_lost_its_action_fails() -> None:
    world = World()
    world.incident("i1")
    with pytest.raises(Died):
        drain([world.feed(fail="retrain_trigger.after_decision:exit@1")])
    world.models = {}

    world.run()

    assert world.story()[-1] == ("i1", "failed", "refused: the model has no retrain action any more")


def test_no_log_line_or_record_holds_a_secret() -> None:
    world = World()
    world.incident("i1")
    world.incident("i2", START + 2 * DAY)
    world.orchestrator.answers[URL] = None
    feed = world.feed()

    with capture_logs() as lines:
        for _ in range(MAX_ATTEMPTS):
            drain([feed])
            world.clock.sleep(600.0)

    assert [line["state"] for line in lines] == ["requested", "requested", "failed", "failed"]
    assert "hunter2" not in repr(lines)
    assert "hunter2" not in repr(world.broker.records(TOPICS.retraining))
