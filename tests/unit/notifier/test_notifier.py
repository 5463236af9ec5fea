from __future__ import annotations

import msgspec
import pytest
from structlog.testing import capture_logs

from services.notifier.channels.channel import Notice
from services.notifier.channels.log import LogChannel
from services.notifier.render import render
from services.notifier.stage import NotifierStage
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.errors import Unavailable
from shared.events.alert import Action, Incident, IncidentEvent, IncidentKind, Severity
from shared.events.dead_letter import DeadLetter
from shared.feed import Feed
from shared.notify import NotifyRoute
from shared.runtime import drain
from shared.topics import Topics
from tests.kit.alerts import culprit, heartbeat_bytes, incident, incident_bytes, on_alerts

TOPICS = Topics()
OPENED, RESOLVED = IncidentEvent.OPENED, IncidentEvent.RESOLVED
DRIFTED = incident(culprits=[culprit()])
TAIL = "since row 12100 (2026-03-01T00:00:00.000Z), found at row 12999; 900 rows affected"


@pytest.mark.parametrize(
    ("event", "data", "line"),
    [
        (
            OPENED,
            DRIFTED,
            "[warning] car_loan v3: data drift opened; "
            f"income: psi 0.31 (noise floor 0.0123, threshold 0.1, 1000 rows); {TAIL}; do: investigate",
        ),
        (
            IncidentEvent.ESCALATED,
            incident(
                kinds=[IncidentKind.PERFORMANCE_DEGRADATION, IncidentKind.DATA_DRIFT],
                severity=Severity.CRITICAL,
                action=Action.RETRAIN,
                inside_segments=[culprit("age", "country=de,device=phone", 12.3456)],
            ),
            "[critical] car_loan v3: performance degradation (with data drift) escalated; "
            "age where country=de,device=phone: psi 12.3 (noise floor 0.0123, threshold 0.1, 1000 rows); "
            f"{TAIL}; do: retrain",
        ),
        (
            IncidentEvent.UPDATED,
            incident(culprits=[culprit(f"f{n}") for n in range(5)], action=Action.FIX_PIPELINE),
            "[warning] car_loan v3: data drift updated; "
            + "; ".join(f"f{n}: psi 0.31 (noise floor 0.0123, threshold 0.1, 1000 rows)" for n in range(3))
            + f"; and 2 more columns; {TAIL}; do: fix pipeline",
        ),
        (RESOLVED, incident(), f"[warning] car_loan v3: data drift resolved; {TAIL}; do: investigate"),
        (
            IncidentEvent.ACCEPTED,
            incident(severity=Severity.INFO),
            f"[info] car_loan v3: data drift accepted as the new normal; {TAIL}; do: investigate",
        ),
        (IncidentEvent.RETRACTED, incident(), f"[warning] car_loan v3: data drift retracted; {TAIL}; do: investigate"),
    ],
    ids=["opened", "escalated", "updated", "resolved", "accepted", "retracted"],
)
def test_an_incident_reads(event: IncidentEvent, data: Incident, line: str) -> None:
    assert render(event, data) == line


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("city=a\nb\x1b[31m", "city=a\ufffdb\ufffd[31m"),
        ("city=\u202egnp", "city=\ufffdgnp"),
        ("city={0}%s${HOME}", "city={0}%s${HOME}"),
        ("x" * 10_000, "x" * 79 + "…"),
    ],
    ids=["control characters", "bidi override", "templates", "10 KB"],
)
def test_a_name_from_outside_stays_a_short_name(hostile: str, shown: str) -> None:
    line = render(OPENED, incident(culprits=[culprit(segment=hostile)]))

    assert f"; income where {shown}: psi 0.31" in line


class Board:
    """A channel that keeps its notices; it fails once at the incidents it is told."""

    def __init__(self, *fails_at: str) -> None:
        self.notices: list[Notice] = []
        self._fails_at = set(fails_at)

    def deliver(self, notice: Notice) -> None:
        if notice.incident_id in self._fails_at:
            self._fails_at.remove(notice.incident_id)
            raise Unavailable("the board is away")
        self.notices.append(notice)


class World:
    def __init__(self, board: Board, routes: int = 1) -> None:
        self.broker = MemoryBroker(ManualClock())
        self.broker.create(*TOPICS.specs())
        self.board = board
        self.routes = [NotifyRoute(to="log")] * routes

    def feed(self) -> Feed:
        stage = NotifierStage(
            topics=TOPICS, routes=self.routes, channels={"log": self.board}, writer=self.broker.writer()
        )
        return Feed(stage, self.broker.reader())

    def append(self, value: bytes | None) -> None:
        self.broker.append(on_alerts(TOPICS, value))

    def told(self) -> list[tuple[str, bool]]:
        return [(notice.alert_id, notice.is_page) for notice in self.board.notices]


def test_every_incident_event_is_told_once_and_heartbeats_never() -> None:
    world = World(Board(), routes=2)
    events = [event for event in IncidentEvent if event is not IncidentEvent.HEARTBEAT]
    for event in events:
        world.append(incident_bytes(event, DRIFTED))
        world.append(heartbeat_bytes())

    drain([world.feed()])

    assert world.told() == [(f"i1.{event.name.lower()}", event.name in ("OPENED", "ESCALATED")) for event in events]


def test_without_routes_nobody_is_told() -> None:
    world = World(Board(), routes=0)
    world.append(incident_bytes(OPENED, DRIFTED))

    drain([world.feed()])

    assert world.told() == []


def test_what_is_no_alert_is_dead_lettered_and_the_next_one_is_told() -> None:
    world = World(Board())
    for value in (b"", None, b"{}", b"\xff\xfe", b'{"a": 1'):
        world.append(value)
    world.append(incident_bytes(OPENED, DRIFTED))

    drain([world.feed()])

    letters = [
        msgspec.json.decode(record.value, type=DeadLetter)
        for record in world.broker.records(TOPICS.dead_letters)
        if record.value is not None
    ]
    assert [(letter.reason, letter.service) for letter in letters] == [
        ("empty", "notifier"),
        ("tombstone", "notifier"),
        ("schema", "notifier"),
        ("json", "notifier"),
        ("json", "notifier"),
    ]
    assert world.told() == [("i1.opened", True)]


def test_a_notice_that_was_not_delivered_comes_again() -> None:
    world = World(Board("i2"))
    for name in ("i1", "i2", "i3"):
        world.append(incident_bytes(OPENED, incident(incident_id=name)))
    with pytest.raises(Unavailable):
        drain([world.feed()])

    drain([world.feed()])

    assert [alert for alert, _ in world.told()] == ["i1.opened", "i1.opened", "i2.opened", "i3.opened"]


@pytest.mark.parametrize(("is_page", "level"), [(True, "warning"), (False, "info")])
def test_the_log_channel_writes_pages_as_warnings(is_page: bool, level: str) -> None:
    notice = Notice("100% of %s {0}", is_page, "car_loan", "i1", "a1")

    with capture_logs() as lines:
        LogChannel().deliver(notice)

    assert lines == [
        {"event": "100% of %s {0}", "log_level": level, "model": "car_loan", "incident": "i1", "alert": "a1"}
    ]
