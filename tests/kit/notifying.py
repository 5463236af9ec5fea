"""The notifier in process: a log, receivers, and stages that come and go on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from services.notifier.adapters.memory_books import MemoryBooks
from services.notifier.books import Books, Outcome
from services.notifier.channels.channel import Channel, Notice
from services.notifier.channels.webhook import WebhookChannel
from services.notifier.routing import Routes
from services.notifier.stage import NotifierStage
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.durations import UNITS_MS
from shared.errors import Unavailable
from shared.events.alert import IncidentEvent, Severity
from shared.events.comparison import Verdict
from shared.events.dead_letter import DeadLetter
from shared.failpoints import Died, Failpoints
from shared.feed import Feed
from shared.http import HttpRequest, HttpResponse
from shared.identity import model_partition
from shared.log import Record
from shared.notify import NotifyMatch, NotifyRoute
from shared.runtime import drain
from shared.topics import Topics
from shared.webhooks import Endpoint
from tests.kit.alerts import (
    MODEL,
    comparison,
    comparison_bytes,
    culprit,
    heartbeat_bytes,
    incident,
    incident_bytes,
    on_alerts,
    story_of,
)

TOPICS = Topics()
PARTITION = model_partition(MODEL, TOPICS.alerts_partitions)
MINUTE, HOUR, DAY = UNITS_MS["m"], UNITS_MS["h"], UNITS_MS["d"]
START = 1_000 * DAY
OPS = "http://user:hunter2@ops/hook"
TEAM = "http://team/hook"
TAKEN = HttpResponse(204)
Answer = HttpResponse | Unavailable | None  # None: it does not answer


class Posted(msgspec.Struct):
    """What a receiver reads of any notice."""

    event: str
    repeat: int = 0
    incident_id: str = ""
    comparison_id: str = ""


class Heard:
    """A channel of this process that keeps what it is told."""

    def __init__(self) -> None:
        self.notices: list[Notice] = []

    def deliver(self, notice: Notice) -> None:
        self.notices.append(notice)


class Receivers:
    """A courier whose receivers answer by URL, when they are asked to `collect`; keeps what they were sent."""

    def __init__(self, answers: Mapping[str, Callable[[HttpRequest], Answer]] | None = None) -> None:
        self.answers = dict(answers or {})
        self.sent: list[HttpRequest] = []
        self.most_under_way = 0
        self._under_way: list[tuple[str, HttpRequest]] = []

    def submit(self, key: str, request: HttpRequest) -> None:
        self.sent.append(request)
        self._under_way.append((key, request))
        self.most_under_way = max(self.most_under_way, len(self._under_way))

    def collect(self, timeout: float) -> Sequence[tuple[str, HttpResponse | Unavailable]]:
        del timeout
        answered = [(key, request, self.answers[request.url](request)) for key, request in self._under_way]
        self._under_way = [(key, request) for key, request, answer in answered if answer is None]
        return [(key, answer) for key, _, answer in answered if answer is not None]

    def close(self) -> None:
        self._under_way.clear()

    def ids(self, url: str = OPS) -> list[str]:
        return [request.headers["webhook-id"] for request in self.sent if request.url == url]

    def told(self, url: str = OPS) -> list[tuple[str, str, int]]:
        """Return story, event and repeat of what a receiver was sent, each id once, in order of first sight."""
        first = {request.headers["webhook-id"]: request for request in reversed(self.sent) if request.url == url}
        order = dict.fromkeys(self.ids(url))
        bodies = [msgspec.json.decode(first[notice].body, type=Posted) for notice in order]
        return [(body.incident_id or body.comparison_id, body.event, body.repeat) for body in bodies]


def route(
    *to: str, severity: Sequence[Severity] | None = None, model: str | None = None, every: str | None = None
) -> NotifyRoute:
    match = NotifyMatch(severity=None if severity is None else list(severity), model=model)
    return NotifyRoute(to=list(to), match=match, every=every)


class World:
    """A log, receivers, books, and stages that come and go on them."""

    def __init__(self, *routes: NotifyRoute) -> None:
        self.clock = ManualClock(START)
        self.broker = MemoryBroker(self.clock)
        self.broker.create(*TOPICS.specs())
        self.books: Books = MemoryBooks()
        self.heard = Heard()
        self.receivers = Receivers({OPS: lambda _: TAKEN, TEAM: lambda _: TAKEN})
        self.channels: dict[str, Channel] = {
            "log": self.heard,
            "ops": WebhookChannel(Endpoint(OPS)),
            "team": WebhookChannel(Endpoint(TEAM)),
        }
        self.routes = list(routes)
        self._at_ms = START
        # A notifier that was there from the beginning.
        self.heartbeat()
        self.run()

    def stage(self, fail: str = "") -> NotifierStage:
        return NotifierStage(
            topics=TOPICS,
            routes=Routes(self.routes),
            channels=self.channels,
            books=self.books,
            courier=self.receivers,
            reader=self.broker.reader(),
            writer=self.broker.writer(),
            clock=self.clock,
            failpoints=Failpoints(fail),
        )

    def feed(self, positions: Mapping[int, int] | None = None, fail: str = "") -> Feed:
        return Feed(self.stage(fail), self.broker.reader(), positions)

    def run(self, fail: str = "", positions: Mapping[int, int] | None = None) -> bool:
        """Work until nothing happens; return whether the notifier died."""
        self.receivers.close()  # what a former process had under way
        try:
            drain([self.feed(positions, fail)])
        except Died:
            return True
        return False

    def append(self, value: bytes | None, after_ms: int = 0, model: str = MODEL) -> Record:
        self._at_ms += after_ms
        return self.broker.append(on_alerts(TOPICS, value, model=model, at_ms=self._at_ms))

    def incident(
        self,
        name: str,
        event: IncidentEvent = IncidentEvent.OPENED,
        *,
        severity: Severity = Severity.WARNING,
        after_ms: int = 0,
        alert_id: str | None = None,
        model: str = MODEL,
    ) -> Record:
        data = incident(incident_id=name, severity=severity, culprits=[culprit()], model=model)
        return self.append(incident_bytes(event, data, alert_id=alert_id), after_ms, model)

    def verdict(self, verdict: Verdict, *, after_ms: int = 0, alert_id: str | None = None) -> Record:
        return self.append(comparison_bytes(comparison(verdict), alert_id=alert_id), after_ms)

    def heartbeat(self, after_ms: int = 0) -> Record:
        return self.append(heartbeat_bytes(), after_ms)

    def end(self) -> dict[int, int]:
        """Return the positions after everything there is."""
        return {number: len(self.broker.records(TOPICS.alerts, number)) for number in range(TOPICS.alerts_partitions)}

    def heard_events(self) -> list[tuple[str, str, int]]:
        return [(story_of(n.data), n.event.name.lower(), n.repeat) for n in self.heard.notices]

    def outcomes(self) -> list[Outcome]:
        return [o for number in range(TOPICS.alerts_partitions) for o in self.books.outcomes(number)]

    def dead_letters(self) -> list[DeadLetter]:
        records = self.broker.records(TOPICS.dead_letters)
        return [msgspec.json.decode(record.value or b"", type=DeadLetter) for record in records]
