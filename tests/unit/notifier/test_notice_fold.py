"""Which notices arise from which alerts, and when: a fold of the log on log time."""

from __future__ import annotations

import msgspec
import pytest

from services.notifier.book import Book
from services.notifier.fold import MAX_COMPARED, MAX_OPEN, MAX_WAITING, NOBODY, Arisen, fold, tell_open
from services.notifier.routing import Routes
from shared.errors import Corrupt
from shared.events.alert import IncidentEvent, Severity, decode_alert
from shared.events.comparison import Advice, Verdict
from shared.notify import NotifyRoute
from tests.kit.alerts import (
    MODEL,
    comparison,
    comparison_bytes,
    heartbeat_bytes,
    incident,
    incident_alert,
    incident_bytes,
)
from tests.kit.notifying import DAY, HOUR, MINUTE, START, route

INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL
OPENED, ESCALATED, UPDATED = IncidentEvent.OPENED, IncidentEvent.ESCALATED, IncidentEvent.UPDATED
RESOLVED, ACCEPTED, RETRACTED = IncidentEvent.RESOLVED, IncidentEvent.ACCEPTED, IncidentEvent.RETRACTED
BETTER, BETTER_TOLD = Verdict.BETTER, "challenger_better"
HEARTBEAT = decode_alert(heartbeat_bytes())

Told = tuple[str, str, int]  # channel, event, repeat


class Story:
    """One partition's alerts as they come; each step returns what was told."""

    def __init__(self, *routes: NotifyRoute) -> None:
        self.book = Book()
        self.routes = Routes(routes)
        self.at_ms = START
        self.ids: list[str] = []
        self.crowded_out: list[str] = []

    def heartbeat(self, after_ms: int = 0) -> list[Told]:
        self.at_ms += after_ms
        return self._told(fold(self.book, self.routes, self.book.position, self.at_ms, HEARTBEAT))

    def says(
        self,
        event: IncidentEvent,
        severity: Severity = WARNING,
        *,
        name: str = "i1",
        alert_id: str | None = None,
        model: str = "car_loan",
        after_ms: int = 0,
    ) -> list[Told]:
        self.at_ms += after_ms
        data = incident(incident_id=name, severity=severity, model=model)
        alert = decode_alert(incident_bytes(event, data, alert_id=alert_id or f"a{self.book.position}"))
        return self._told(fold(self.book, self.routes, self.book.position, self.at_ms, alert))

    def judges(
        self, verdict: Verdict, *, name: str = "c1", alert_id: str | None = None, champion: str = "v3", to: str = "v4"
    ) -> list[Told]:
        data = msgspec.structs.replace(comparison(verdict, comparison_id=name, challenger=to), champion=champion)
        alert = decode_alert(comparison_bytes(data, alert_id=alert_id or f"a{self.book.position}"))
        return self._told(fold(self.book, self.routes, self.book.position, self.at_ms, alert))

    def _told(self, arisen: Arisen) -> list[Told]:
        self.ids += [notice.id for notice in arisen.notices]
        self.crowded_out += [notice.about for notice in arisen.crowded_out]
        return [(notice.channel, notice.event.name.lower(), notice.repeat) for notice in arisen.notices]


@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_is_told_once_to_every_channel_of_every_route_that_matches(verdict: Verdict) -> None:
    story = Story(route("ops", "log"), route("team", "ops"), route("pager", severity=[CRITICAL]))

    assert story.judges(verdict) == [(channel, f"challenger_{verdict}", 0) for channel in ("ops", "log", "team")]
    assert story.judges(verdict) == [("log", f"challenger_{verdict}", 0)]
    assert len(set(story.ids)) == 4


def test_a_verdict_that_the_log_holds_twice_is_told_once() -> None:
    story = Story(route("ops", "log"))

    assert story.judges(BETTER, alert_id="a1") == [("ops", BETTER_TOLD, 0), ("log", BETTER_TOLD, 0)]
    assert story.judges(BETTER, alert_id="a1") == []


def test_each_change_of_a_verdict_is_told_and_to_those_who_know_the_former_one() -> None:
    story = Story(route("ops"))
    verdicts = [Verdict.UNDECIDED, BETTER, Verdict.UNDECIDED, BETTER]

    assert [story.judges(one) for one in verdicts] == [[("ops", f"challenger_{one}", 0)] for one in verdicts]
    assert len(set(story.ids)) == 4
    story.routes = Routes([])
    assert story.judges(Verdict.WORSE) == [("ops", "challenger_worse", 0)]


def test_a_caveat_that_comes_to_a_verdict_is_told() -> None:
    story = Story(route("ops"))
    story.judges(BETTER)
    caveat = msgspec.structs.replace(comparison(BETTER), advice=Advice.PROMOTE_WITH_CAVEAT)

    told = [
        fold(story.book, story.routes, offset, START, decode_alert(comparison_bytes(caveat, alert_id=f"a{offset}")))
        for offset in (1, 2)
    ]

    assert [len(arisen.notices) for arisen in told] == [1, 0]


def test_a_comparison_that_begins_anew_is_told_anew() -> None:
    story = Story(route("ops"))
    story.judges(BETTER)

    assert story.judges(BETTER, name="c2") == [("ops", BETTER_TOLD, 0)]
    assert [one.comparison_id for one in story.book.compared.values()] == ["c2"]


def test_another_champion_ends_what_was_said_beside_the_former_one() -> None:
    story = Story(route("ops"))
    story.judges(BETTER)
    story.judges(Verdict.WORSE, name="c2", champion="v4", to="v5")

    assert [one.comparison_id for one in story.book.compared.values()] == ["c2"]


def test_who_lost_its_book_tells_of_a_verdict_that_stands_with_the_id_of_its_coming() -> None:
    story = Story(route("ops"))
    other = Book()
    for offset, (verdict, to) in enumerate([(BETTER, "v4"), (BETTER, "v4"), (Verdict.UNDECIDED, "v5")]):
        story.judges(verdict, name=to, to=to)
        alert = decode_alert(
            comparison_bytes(comparison(verdict, comparison_id=to, challenger=to), alert_id=f"a{offset}")
        )
        fold(other, NOBODY, offset, START, alert)

    told = tell_open(other, story.routes).notices

    assert [(one.id, one.about, one.offset) for one in told] == [(story.ids[0], "v4", 1)]
    assert other.offsets() == {1, 2}


def test_challengers_beyond_the_bound_are_forgotten_silent_ones_first() -> None:
    story = Story()
    for number in range(MAX_COMPARED + 1):
        story.judges(BETTER, to=f"v{number}")

    assert len(story.book.compared) == MAX_COMPARED
    assert f"{MODEL}\0v0" not in story.book.compared


@pytest.mark.parametrize("event", [OPENED, ESCALATED, RESOLVED, ACCEPTED, RETRACTED], ids=lambda e: e.name.lower())
def test_every_channel_of_every_route_that_matches_is_told_once(event: IncidentEvent) -> None:
    story = Story(route("ops", "log"), route("team", "ops"))

    assert story.says(event) == [(channel, event.name.lower(), 0) for channel in ("ops", "log", "team")]
    assert len(set(story.ids)) == 3


@pytest.mark.parametrize(
    ("routes", "model", "severity", "told"),
    [
        ([route("ops", severity=[CRITICAL])], "car_loan", WARNING, []),
        ([route("ops", severity=[CRITICAL])], "car_loan", CRITICAL, ["ops"]),
        ([route("ops", severity=[WARNING, CRITICAL])], "car_loan", WARNING, ["ops"]),
        ([route("ops", model="bikes")], "car_loan", CRITICAL, []),
        ([route("ops", model="bikes")], "bikes", INFO, ["ops"]),
        ([route("ops", model="bikes", severity=[CRITICAL])], "bikes", WARNING, []),
        ([route("ops", model="bikes"), route("log")], "car_loan", WARNING, ["log"]),
        ([], "car_loan", CRITICAL, []),
    ],
)
def test_a_route_is_for_the_models_and_severities_it_names(
    routes: list[NotifyRoute], model: str, severity: Severity, told: list[str]
) -> None:
    assert [channel for channel, _, _ in Story(*routes).says(OPENED, severity, model=model)] == told


def test_updates_are_told_to_the_log_only() -> None:
    story = Story(route("ops", "log"))
    story.says(OPENED)

    assert story.says(UPDATED) == [("log", "updated", 0)]


def test_an_incident_opens_once() -> None:
    story = Story(route("ops"))
    story.says(OPENED)

    assert story.says(OPENED) == []


def test_heartbeats_are_told_to_nobody() -> None:
    assert Story(route("log")).heartbeat() == []


def test_who_was_told_of_an_incident_is_told_of_its_end_whatever_its_severity_is_then() -> None:
    story = Story(route("ops", severity=[CRITICAL]), route("log"))

    assert story.says(OPENED, INFO) == [("log", "opened", 0)]
    assert story.says(ESCALATED, CRITICAL) == [("ops", "escalated", 0), ("log", "escalated", 0)]
    assert story.says(RESOLVED, WARNING) == [("log", "resolved", 0), ("ops", "resolved", 0)]
    assert story.book.open == {}


def test_an_alert_that_the_log_holds_twice_is_told_once() -> None:
    story = Story(route("ops"))
    alerts = [(OPENED, "a1"), (ESCALATED, "a2"), (RESOLVED, "a3")]

    first = [story.says(event, alert_id=alert) for event, alert in alerts]
    again = [story.says(event, alert_id=alert) for event, alert in alerts]

    assert first == [[("ops", "opened", 0)], [("ops", "escalated", 0)], [("ops", "resolved", 0)]]
    assert again == [[], [], []]
    assert story.book.open == {}


def test_a_repeat_comes_with_the_first_record_at_the_interval_or_later() -> None:
    story = Story(route("ops", every="4h"))
    story.says(OPENED)

    assert story.heartbeat(4 * HOUR - 1) == []
    assert story.heartbeat(1) == [("ops", "opened", 1)]
    assert story.heartbeat(HOUR) == []
    assert story.heartbeat(11 * HOUR) == [("ops", "opened", 2)]
    assert story.heartbeat(4 * HOUR - 1) == []
    assert story.heartbeat(1) == [("ops", "opened", 3)]
    assert len(set(story.ids)) == len(story.ids)


def test_a_repeat_tells_the_latest_alert() -> None:
    story = Story(route("ops", every="1h"))
    story.says(OPENED)
    story.says(UPDATED, after_ms=10 * MINUTE)
    story.heartbeat(HOUR)

    assert [(notice.offset, notice.repeat) for notice in story.book.waiting] == [(0, 0), (1, 1)]


def test_an_escalation_starts_the_interval_anew_and_the_end_ends_it() -> None:
    story = Story(route("ops", every="4h"))
    story.says(OPENED)

    assert story.says(ESCALATED, CRITICAL, after_ms=3 * HOUR) == [("ops", "escalated", 0)]
    assert story.heartbeat(3 * HOUR) == []
    assert story.heartbeat(HOUR) == [("ops", "opened", 1)]
    assert story.says(RESOLVED, after_ms=5 * HOUR) == [("ops", "resolved", 0)]
    assert story.heartbeat(DAY) == []


def test_the_shortest_interval_of_a_channel_s_routes_is_its_own() -> None:
    story = Story(route("ops", every="1d"), route("ops", "team", severity=[WARNING], every="2h"), route("log"))
    story.says(OPENED)

    assert story.heartbeat(2 * HOUR) == [("ops", "opened", 1), ("team", "opened", 1)]
    story.says(ESCALATED, CRITICAL)
    assert story.heartbeat(23 * HOUR) == []
    assert story.heartbeat(HOUR) == [("ops", "opened", 2)]


def test_a_clock_of_the_broker_that_jumps_back_turns_no_time_back() -> None:
    story = Story(route("ops", every="4h"))
    story.says(OPENED)
    story.heartbeat(3 * HOUR)

    assert story.heartbeat(-2 * HOUR) == []
    assert story.heartbeat(3 * HOUR) == [("ops", "opened", 1)]


def test_a_quiet_past_leaves_what_is_open_to_tell() -> None:
    story = Story()
    story.routes = NOBODY
    for name in ("over", "burning", "changing"):
        story.says(OPENED, name=name)
    story.says(RESOLVED, name="over")
    story.says(UPDATED, CRITICAL, name="changing")
    assert story.ids == []

    arisen = tell_open(story.book, Routes([route("ops", "log"), route("team", severity=[CRITICAL])]))

    assert [(n.about, n.channel, n.event, n.offset) for n in arisen.notices] == [
        ("burning", "ops", OPENED, 1),
        ("burning", "log", OPENED, 1),
        ("changing", "ops", OPENED, 4),
        ("changing", "log", OPENED, 4),
        ("changing", "team", OPENED, 4),
    ]


def test_who_lost_its_book_tells_of_an_open_incident_with_the_id_of_its_opening() -> None:
    story = Story(route("ops"))
    story.says(OPENED)
    other = Book()
    fold(other, NOBODY, 0, START, incident_alert(OPENED, incident()))
    fold(other, NOBODY, 1, START, incident_alert(UPDATED, incident()))

    assert [notice.id for notice in tell_open(other, story.routes).notices] == story.ids


def test_a_channel_has_a_thousand_waiting_notices_and_the_oldest_give_way() -> None:
    story = Story(route("ops"), route("team", severity=[CRITICAL]))
    story.says(OPENED, CRITICAL, name="first")
    for number in range(MAX_WAITING + 1):
        story.says(OPENED, name=f"i{number}")

    assert story.crowded_out == ["first", "i0"]
    waiting = [notice for notice in story.book.waiting if notice.channel == "ops"]
    assert (len(waiting), waiting[0].about) == (MAX_WAITING, "i1")
    assert [notice.about for notice in story.book.waiting if notice.channel == "team"] == ["first"]


def test_incidents_beyond_the_bound_are_forgotten_silent_ones_first() -> None:
    story = Story()
    story.says(OPENED, name="silent")
    for number in range(MAX_OPEN):
        story.says(OPENED, name=f"i{number}")

    assert len(story.book.open) == MAX_OPEN
    assert "silent" not in story.book.open


def test_a_book_reads_back_as_it_was_written() -> None:
    story = Story(route("ops", "log", every="1h"))
    story.says(OPENED)
    story.heartbeat(HOUR)
    story.judges(BETTER)

    packed = story.book.pack()

    assert Book.unpack(packed) == story.book
    assert Book.unpack(packed).pack() == packed


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        (b"", "begins with b''"),
        (b"driftline-notifier/2\nxxxx", "this release reads b'driftline-notifier/1"),
        (Book(position=7).pack()[:-1] + b"\0", "another checksum"),
        (Book(position=7).pack().replace(b"\x07", b"\x08"), "another checksum"),
    ],
    ids=["nothing", "a later release", "cut", "changed"],
)
def test_a_book_that_was_not_written_so_is_refused(damaged: bytes, message: str) -> None:
    with pytest.raises(Corrupt, match=message):
        Book.unpack(damaged)
