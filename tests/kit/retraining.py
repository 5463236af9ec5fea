"""The retrain trigger in process: a log, an orchestrator, and stages that come and go on them."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from services.retrain_trigger.actions.webhook import Webhook
from services.retrain_trigger.policy import Rule
from services.retrain_trigger.stage import Retrainable, RetrainStage
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.durations import parse_duration
from shared.errors import Unavailable
from shared.events.alert import IncidentEvent, Severity
from shared.events.dead_letter import DeadLetter
from shared.events.retraining import Retraining, RetrainingEvent
from shared.failpoints import Failpoints
from shared.feed import Feed
from shared.http import HttpRequest, HttpResponse
from shared.log import Record
from shared.runtime import drain
from shared.topics import Topics
from shared.webhooks import Endpoint
from tests.kit.alerts import MODEL, incident, incident_bytes, on_alerts

TOPICS = Topics()
HOUR, DAY = parse_duration("1h"), parse_duration("1d")
START = 1_000 * DAY
URL = "http://user:hunter2@orchestrator/retrain"
ACCEPT = HttpResponse(202, body=b'{"run_url": "https://ci/run/1"}')


class Orchestrator:
    """Answers by URL and keeps what it was asked."""

    def __init__(self, answers: Mapping[str, HttpResponse | None]) -> None:
        self.answers = dict(answers)
        self.asked: list[HttpRequest] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        self.asked.append(request)
        answer = self.answers[request.url]
        if answer is None:
            raise Unavailable("the receiver cannot be reached")
        return answer

    def close(self) -> None:
        """Nothing is open."""

    @property
    def keys(self) -> list[str]:
        return [request.headers["Idempotency-Key"] for request in self.asked]


class World:
    """A log, an orchestrator, and stages that come and go on them."""

    def __init__(self, when: str = "on_drift", cool_down: str = "1d") -> None:
        self.clock = ManualClock(START)
        self.broker = MemoryBroker(self.clock)
        self.broker.create(*TOPICS.specs())
        self.orchestrator = Orchestrator({URL: ACCEPT})
        self.models = {MODEL: self.retrainable(when, cool_down)}

    @staticmethod
    def retrainable(when: str, cool_down: str = "1d", url: str = URL) -> Retrainable:
        return Retrainable(Rule(tuple(when.split(" OR ")), parse_duration(cool_down)), Webhook(Endpoint(url)))

    def stage(self, fail: str = "") -> RetrainStage:
        return RetrainStage(
            topics=TOPICS,
            models=self.models,
            reader=self.broker.reader(),
            writer=self.broker.writer(),
            http=self.orchestrator,
            clock=self.clock,
            source="/driftline/main/retrain_trigger",
            failpoints=Failpoints(fail),
        )

    def feed(self, positions: Mapping[int, int] | None = None, fail: str = "") -> Feed:
        return Feed(self.stage(fail), self.broker.reader(), positions)

    def run(self, positions: Mapping[int, int] | None = None) -> None:
        drain([self.feed(positions)])

    def append(self, value: bytes | None, at_ms: int = START, model: str = MODEL) -> Record:
        return self.broker.append(on_alerts(TOPICS, value, model=model, at_ms=at_ms))

    def incident(
        self, name: str, at_ms: int = START, event: IncidentEvent = IncidentEvent.OPENED, model: str = MODEL
    ) -> Record:
        data = incident(incident_id=name, model=model, severity=Severity.WARNING)
        return self.append(incident_bytes(event, data), at_ms, model)

    def end(self) -> dict[int, int]:
        """Return the positions after everything there is."""
        return {number: len(self.broker.records(TOPICS.alerts, number)) for number in range(TOPICS.alerts_partitions)}

    def entries(self) -> list[Retraining]:
        return [
            msgspec.json.decode(record.value, type=RetrainingEvent).data
            for record in self.broker.records(TOPICS.retraining)
            if record.value is not None
        ]

    def story(self) -> list[tuple[str | None, str, str | None]]:
        return [(entry.incident_id, entry.state.value, entry.reason) for entry in self.entries()]

    def dead_letters(self) -> list[tuple[str, int]]:
        letters = [
            msgspec.json.decode(record.value, type=DeadLetter)
            for record in self.broker.records(TOPICS.dead_letters)
            if record.value is not None
        ]
        return [(letter.reason, letter.offset) for letter in letters]
