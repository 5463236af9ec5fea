"""What becomes of a notice: order, waits, refusals, and bounds."""

from __future__ import annotations

from structlog.testing import capture_logs

from services.notifier.books import Outcome
from services.notifier.dispatch import MAX_UNDER_WAY
from services.notifier.fold import MAX_WAITING
from shared.errors import Unavailable
from shared.events.alert import IncidentEvent, Severity
from shared.events.comparison import Verdict
from shared.http import HttpRequest, HttpResponse
from shared.measures import Measure
from shared.runtime import drain
from tests.kit.notifying import (
    DAY,
    HOUR,
    OPS,
    PARTITION,
    START,
    TAKEN,
    TEAM,
    Answer,
    World,
    route,
)

OPENED, ESCALATED, UPDATED = IncidentEvent.OPENED, IncidentEvent.ESCALATED, IncidentEvent.UPDATED
RESOLVED = IncidentEvent.RESOLVED
AWAY = Unavailable("the receiver cannot be reached")


def facts(outcomes: list[Outcome]) -> list[tuple[str, str, str, int, str | None]]:
    return [(o.channel, o.about, o.fate.value, o.attempts, o.reason) for o in outcomes]


def test_an_incident_is_told_where_its_routes_say_from_its_opening_to_its_end() -> None:
    world = World(route("log"), route("ops", severity=[Severity.CRITICAL]))
    world.incident("i1")
    world.incident("i1", ESCALATED, severity=Severity.CRITICAL)
    world.incident("i1", UPDATED, severity=Severity.CRITICAL)
    world.incident("i1", RESOLVED)

    world.run()

    assert world.heard_events() == [("i1", event, 0) for event in ("opened", "escalated", "updated", "resolved")]
    assert [notice.is_page for notice in world.heard.notices] == [True, True, False, False]
    assert world.receivers.told() == [("i1", "escalated", 0), ("i1", "resolved", 0)]
    assert [fact[2:] for fact in facts(world.outcomes())] == [("delivered", 1, None)] * 6


def test_verdicts_reach_every_channel_once_and_page_nobody() -> None:
    world = World(route("log", "ops"))
    for verdict in (Verdict.UNDECIDED, Verdict.BETTER, Verdict.BETTER, Verdict.WORSE):
        world.verdict(verdict, alert_id=f"a{world.end()}")
        world.run()

    told = ["challenger_undecided", "challenger_better", "challenger_worse"]
    assert world.receivers.told() == [("c1", event, 0) for event in told]
    assert [event for _, event, _ in world.heard_events()] == [told[0], told[1], told[1], told[2]]
    assert [notice.is_page for notice in world.heard.notices] == [False] * 4
    assert [fact[2:] for fact in facts(world.outcomes())] == [("delivered", 1, None)] * 7


def test_a_notice_is_told_once_however_often_the_host_starts_again() -> None:
    world = World(route("log", "ops"))
    world.incident("i1")
    for _ in range(3):
        world.run()

    assert world.heard_events() == [("i1", "opened", 0)]
    assert world.receivers.told() == [("i1", "opened", 0)]
    assert len(world.receivers.sent) == 1


def test_an_alert_that_the_host_leaves_out_is_told_all_the_same() -> None:
    world = World(route("ops"))
    world.incident("i1")
    world.incident("i2")
    last = world.incident("i3")

    drain([world.feed({PARTITION: last.offset})])

    assert world.receivers.told() == [("i1", "opened", 0), ("i2", "opened", 0), ("i3", "opened", 0)]


def test_a_receiver_that_answers_500_twice_gets_the_same_notice_until_it_takes_it() -> None:
    world = World(route("ops"))
    statuses = iter([500, 503, 200])
    world.receivers.answers[OPS] = lambda _: HttpResponse(next(statuses))
    world.incident("i1")
    feed = world.feed()

    for wait in (0.0, 1.9, 0.1, 7.9, 0.1, 3_600.0):
        world.clock.sleep(wait)
        drain([feed])

    assert len(set(world.receivers.ids())) == 1
    assert [request.headers["webhook-timestamp"] for request in world.receivers.sent] == [
        str(START // 1_000 + seconds) for seconds in (0, 2, 10)
    ]
    assert facts(world.outcomes()) == [("ops", "i1", "delivered", 3, None)]


def test_waits_grow_to_five_minutes_and_the_receiver_may_ask_for_more() -> None:
    world = World(route("ops"))
    world.receivers.answers[OPS] = lambda _: AWAY
    world.incident("i1")
    feed = world.feed()
    drain([feed])
    waits = []
    for _ in range(7):
        before, waited = len(world.receivers.sent), 0
        while len(world.receivers.sent) == before:
            world.clock.sleep(1.0)
            waited += 1
            drain([feed])
        waits.append(waited)
        if len(waits) == 6:
            world.receivers.answers[OPS] = lambda _: HttpResponse(429, {"retry-after": "600"})

    assert waits == [2, 8, 32, 128, 300, 300, 300]
    world.clock.sleep(599.0)
    drain([feed])
    assert len(world.receivers.sent) == 8
    world.clock.sleep(1.0)
    drain([feed])
    assert len(world.receivers.sent) == 9


def test_a_channel_that_hangs_delays_no_other_channel() -> None:
    world = World(route("ops", "team", "log"))
    world.receivers.answers[OPS] = lambda _: None
    for number in range(20):
        world.incident(f"i{number}")

    drain([world.feed()])

    assert len(world.receivers.told(TEAM)) == len(world.heard.notices) == 20
    assert len(world.receivers.ids(OPS)) == MAX_UNDER_WAY


def test_notices_of_one_incident_reach_a_channel_in_order_while_others_pass() -> None:
    world = World(route("ops"))
    busy = {"i1"}

    def answer(request: HttpRequest) -> Answer:
        return HttpResponse(503) if any(f'"incident_id":"{name}"'.encode() in request.body for name in busy) else TAKEN

    world.receivers.answers[OPS] = answer
    for event in (OPENED, ESCALATED, RESOLVED):
        world.incident("i1", event)
        world.incident("i2", event)
    feed = world.feed()
    drain([feed])
    assert world.receivers.told() == [
        ("i1", "opened", 0),
        ("i2", "opened", 0),
        ("i2", "escalated", 0),
        ("i2", "resolved", 0),
    ]

    busy.clear()
    world.clock.sleep(2.0)
    drain([feed])

    assert world.receivers.told()[4:] == [("i1", "escalated", 0), ("i1", "resolved", 0)]


def test_a_refused_notice_is_dead_lettered_and_the_next_one_is_sent() -> None:
    world = World(route("ops"))
    statuses = iter([410, 200])
    world.receivers.answers[OPS] = lambda _: HttpResponse(next(statuses))
    refused = world.incident("i1")
    world.incident("i1", RESOLVED)

    with capture_logs() as lines:
        world.run()

    assert facts(world.outcomes()) == [
        ("ops", "i1", "refused", 1, "HTTP 410"),
        ("ops", "i1", "delivered", 1, None),
    ]
    (letter,) = world.dead_letters()
    assert (letter.reason, letter.detail, letter.offset, letter.model, letter.service) == (
        "refused",
        "channel ops: HTTP 410",
        refused.offset,
        "car_loan",
        "notifier",
    )
    assert [(line["event"], line["reason"]) for line in lines if line["log_level"] == "error"] == [
        ("given_up", "HTTP 410")
    ]


def test_a_notice_is_tried_for_a_day_of_log_time_and_no_longer() -> None:
    world = World(route("ops"))
    world.receivers.answers[OPS] = lambda _: AWAY
    world.incident("i1")
    feed = world.feed()
    for _ in range(100):
        drain([feed])
        world.clock.sleep(3_600.0)
    world.heartbeat(DAY - 1)
    drain([feed])
    assert (world.outcomes(), world.dead_letters()) == ([], [])

    world.heartbeat(1)
    world.clock.sleep(3_600.0)
    drain([feed])

    reason = "the receiver cannot be reached; gave up after 102 attempts"
    assert facts(world.outcomes()) == [("ops", "i1", "undeliverable", 102, reason)]
    assert [letter.reason for letter in world.dead_letters()] == ["undeliverable"]


def test_notices_that_crowd_a_channel_are_dead_lettered_oldest_first() -> None:
    world = World(route("ops"))
    world.receivers.answers[OPS] = lambda _: None
    first = world.incident("first")
    for number in range(MAX_WAITING):
        world.incident(f"i{number}")

    world.run()

    assert [(letter.reason, letter.offset, letter.detail) for letter in world.dead_letters()] == [
        ("undeliverable", first.offset, "channel ops: more than 1000 notices waited")
    ]
    assert [outcome.about for outcome in world.outcomes()] == ["first"]


def test_a_notice_for_a_channel_that_is_gone_is_dead_lettered() -> None:
    world = World(route("ops"))
    world.receivers.answers[OPS] = lambda _: AWAY
    world.incident("i1")
    world.run()
    del world.channels["ops"]
    world.routes = []

    world.run()

    assert facts(world.outcomes()) == [("ops", "i1", "refused", 2, "driftline.yaml has no such channel any more")]


def test_what_is_no_alert_is_dead_lettered_once_and_the_next_one_is_told() -> None:
    world = World(route("log"))
    for value in (b"", None, b"{}", b"\xff\xfe", b'{"a": 1'):
        world.append(value)
    world.incident("i1")

    world.run()
    world.run()

    assert [letter.reason for letter in world.dead_letters()] == ["empty", "tombstone", "schema", "json", "json"]
    assert world.heard_events() == [("i1", "opened", 0)]


def test_repeats_come_on_log_time_and_say_that_the_incident_is_still_open() -> None:
    world = World(route("ops", "log", every="4h"))
    world.incident("i1")
    feed = world.feed()
    drain([feed])
    world.clock.sleep(24 * 3_600.0)
    drain([feed])
    assert world.receivers.told() == [("i1", "opened", 0)]

    world.heartbeat(4 * HOUR)
    drain([feed])

    assert world.receivers.told() == [("i1", "opened", 0), ("i1", "opened", 1)]
    assert "data drift is still open" in world.heard.notices[-1].text
    assert world.heard.notices[-1].is_page


def test_no_log_line_dead_letter_or_outcome_holds_a_secret() -> None:
    world = World(route("ops"))
    statuses = iter([500, 410])
    world.receivers.answers[OPS] = lambda _: HttpResponse(next(statuses))
    world.incident("i1")
    feed = world.feed()

    with capture_logs() as lines:
        drain([feed])
        world.clock.sleep(2.0)
        drain([feed])

    assert [line["event"] for line in lines] == ["not_delivered", "given_up"]
    assert "hunter2" not in repr(lines) + repr(world.dead_letters()) + repr(world.outcomes())


def test_measures_balance() -> None:
    world = World(route("ops", every="4h"), route("team", "log"))
    answers = iter([HttpResponse(500), TAKEN])
    world.receivers.answers[OPS] = lambda _: next(answers, None)
    world.receivers.answers[TEAM] = lambda _: HttpResponse(404)
    feed = world.feed()
    world.incident("i1")
    drain([feed])
    world.clock.sleep(2.0)
    world.heartbeat(4 * HOUR)
    drain([feed])

    measures = {measure.name: measure for measure in feed.measures()}

    assert nonzero(measures["notifier_notices_total"]) == {("opened",): 4}
    assert nonzero(measures["notifier_repeats_total"]) == {("ops",): 1}
    assert nonzero(measures["notifier_attempts_total"]) == {("ops",): 2, ("team",): 1, ("log",): 1}
    assert nonzero(measures["notifier_failures_total"]) == {("ops",): 1}
    assert nonzero(measures["notifier_concluded_total"]) == {
        ("ops", "delivered"): 1,
        ("team", "refused"): 1,
        ("log", "delivered"): 1,
    }
    assert measures["notifier_waiting"].samples == {("log",): 0, ("ops",): 1, ("team",): 0}
    assert measures["notifier_waiting_limit"].samples == {(): MAX_WAITING}
    assert measures["notifier_open_incidents"].samples == {(): 1}
    assert nonzero(measures["dead_letters_total"]) == {("refused",): 1}
    assert measures["notifier_oldest_waiting_timestamp_seconds"].samples == {("ops",): (START + 4 * HOUR) / 1_000}


def nonzero(measure: Measure) -> dict[tuple[str, ...], float]:
    return {labels: value for labels, value in measure.samples.items() if value}
