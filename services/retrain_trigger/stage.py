"""Alerts in, decisions and requests out: decide and write down as alerts come, send in between.

State on start is the `retraining` topic read to its end (what was asked and what came of it), and the retained alerts
below the position where the host goes on (how far each model is in log time). Only alerts from that position on, and
above every offset that a written decision consumed, are decided. So a restart repeats no decision, and a changed
`when:` acts on what comes, never on the past.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
import structlog

from services.retrain_trigger.account import LATER, REFUSED, Account
from services.retrain_trigger.actions.action import Accepted, Action, Verdict
from services.retrain_trigger.ledger import Ledger, decode_entry, encode_entry, ledger_record
from services.retrain_trigger.outbox import Delivery, Outbox
from services.retrain_trigger.policy import Decision, Moment, Rule, decide
from shared.clock import Clock
from shared.errors import LogIdentity, Malformed, Unavailable
from shared.events.alert import Alert, decode_alert
from shared.events.dead_letter import dead_letter
from shared.events.retraining import Retraining, RetrainingState
from shared.failpoints import Failpoints
from shared.history import history
from shared.http import HttpClient
from shared.log import Reader, Record, TopicPartition, Writer
from shared.measures import Measure
from shared.topics import Topics
from shared.values import format_ts
from shared.verdicts import Refused, TryLater

LOG = structlog.get_logger("retrain_trigger")


@dataclass(frozen=True, slots=True)
class Retrainable:
    """A model that may be retrained: when, and how."""

    rule: Rule
    action: Action


class RetrainStage:
    """The service over its ports.

    reader: reads history at explicit positions, apart from the host's own reading. source: the CloudEvents source.
    """

    name = "retrain_trigger"

    def __init__(
        self,
        *,
        topics: Topics,
        models: Mapping[str, Retrainable],
        reader: Reader,
        writer: Writer,
        http: HttpClient,
        clock: Clock,
        source: str,
        failpoints: Failpoints,
    ) -> None:
        self.topic = topics.alerts
        self._topics = topics
        self._models = models
        self._reader = reader
        self._writer = writer
        self._http = http
        self._clock = clock
        self._source = source
        self._failpoints = failpoints
        self._partitions: frozenset[int] = frozenset()
        self._next: dict[int, int] = {}
        self._moments: dict[str, Moment] = {}
        self._ledger = Ledger()
        self._outbox = Outbox()
        self._account = Account()

    def assigned(self, partitions: frozenset[int]) -> None:
        """Read the ledger of `partitions`; what was requested without an outcome is sent again, with the same key.

        Raises:
            LogIdentity: a decision consumed an alert beyond the end of `alerts`; that topic is another one now.
        """
        self._partitions = partitions
        self._next.clear()
        self._moments.clear()
        self._outbox.clear()
        self._ledger = Ledger()
        for number in sorted(partitions):
            source = TopicPartition(self._topics.retraining, number)
            for record in history(self._reader, source, 0, self._reader.bounds(source).high):
                self._absorb(record)
        for number in sorted(partitions):
            self._check_identity(TopicPartition(self.topic, number))
        for entry in self._ledger.unanswered():
            self._outbox.add(entry, self._clock.monotonic())

    def handle(self, record: Record) -> None:
        """Decide about one alert; a decision is acknowledged by the log before this returns."""
        number = record.partition
        if number not in self._partitions:
            return
        if number not in self._next:
            self._recall(record)
        # A host that leaves records out between two deliveries must not make an alert disappear.
        for missed in history(self._reader, record.source, self._next[number], record.offset):
            self._consider(missed)
        if record.offset >= self._next[number]:
            self._consider(record)

    def tick(self) -> bool:
        """Make one attempt to deliver the request that has been due longest."""
        delivery = self._outbox.next_due(self._clock.monotonic())
        if delivery is None:
            return False
        self._account.attempts += 1
        verdict = self._attempt(delivery.entry)
        self._failpoints.hit("retrain_trigger.after_send")
        match verdict:
            case Accepted(run_url):
                self._conclude(delivery, RetrainingState.ACCEPTED, reason=None, run_url=run_url)
            case Refused(reason):
                self._account.failures[REFUSED] += 1
                self._conclude(delivery, RetrainingState.FAILED, reason=f"refused: {reason}", run_url=None)
            case TryLater(reason, after):
                self._account.failures[LATER] += 1
                if not self._outbox.postpone(delivery, self._clock.monotonic(), after):
                    self._account.given_up += 1
                    given_up = f"{reason}; gave up after {delivery.attempts} attempts"
                    self._conclude(delivery, RetrainingState.FAILED, reason=given_up, run_url=None)
        return True

    def measures(self) -> Iterable[Measure]:
        """Return what was decided, sent and refused since the process started."""
        return self._account.measures(self._ledger, self._outbox)

    def close(self) -> None:
        """Leave; requests on their way are in the ledger. Idempotent."""
        self._writer.close()
        self._reader.close()
        self._http.close()

    def _consider(self, record: Record) -> None:
        try:
            decision = self._take(decode_alert(record.value), record)
        except Malformed as refusal:
            self._dead_letter(record, refusal)
        else:
            if decision is not None and not self._ledger.knows(decision.model, decision.effect_id):
                self._write_down(decision, record)
        self._next[record.partition] = record.offset + 1

    def _take(self, alert: Alert, record: Record) -> Decision | None:
        model = alert.data.model
        if model not in self._models:
            return None
        before, now = self._advance(alert, record)
        return decide(self._models[model].rule, before, alert, now, self._ledger.standing(model))

    def _advance(self, alert: Alert, record: Record) -> tuple[Moment, Moment]:
        model = alert.data.model
        before = self._moments.get(model) or Moment(watched_since_ms=self._ledger.watched_since_ms(model))
        now = self._moments[model] = before.after(alert.type, record.timestamp_ms)
        return before, now

    def _write_down(self, decision: Decision, record: Record) -> None:
        entry = decision.entry(record.partition, record.offset)
        self._write(entry, time=entry.decided_at)
        if entry.state is RetrainingState.REQUESTED:
            self._outbox.add(entry, self._clock.monotonic())
        self._failpoints.hit("retrain_trigger.after_decision")

    def _attempt(self, entry: Retraining) -> Verdict:
        if entry.model not in self._models:
            return Refused("the model has no retrain action any more")
        action = self._models[entry.model].action
        body = encode_entry(entry, source=self._source, time=entry.decided_at)
        try:
            return action.verdict(self._http.send(action.request(entry, body, self._clock.now_ms())))
        except Unavailable as exc:
            return TryLater(str(exc))

    def _conclude(self, delivery: Delivery, state: RetrainingState, *, reason: str | None, run_url: str | None) -> None:
        outcome = msgspec.structs.replace(
            delivery.entry, state=state, reason=reason, run_url=run_url, attempts=delivery.attempts
        )
        self._write(outcome, time=format_ts(self._clock.now_ms()))
        self._failpoints.hit("retrain_trigger.after_outcome")
        self._outbox.remove(delivery)

    def _write(self, entry: Retraining, time: str) -> None:
        self._writer.send(ledger_record(self._topics, entry, source=self._source, time=time))
        self._writer.flush()
        self._ledger.absorb(entry)
        self._account.written[entry.state] += 1
        LOG.info(
            "retraining",
            state=entry.state,
            model=entry.model,
            cause=entry.cause,
            reason=entry.reason,
            incident=entry.incident_id,
            effect=entry.effect_id,
        )

    def _dead_letter(self, record: Record, refusal: Malformed) -> None:
        self._account.letters[refusal.reason] += 1
        LOG.warning("record_refused", topic=record.topic, offset=record.offset, reason=refusal.reason)
        self._writer.send(
            dead_letter(
                self._topics, record, service=self.name, reason=refusal.reason, detail=refusal.detail, model=None
            )
        )
        self._writer.flush()

    def _recall(self, first: Record) -> None:
        """Bring a partition to where the host goes on: alerts below were decided, they only move log time."""
        position = max(first.offset, self._ledger.position(first.partition))
        for record in history(self._reader, first.source, 0, position):
            try:
                alert = decode_alert(record.value)
            except Malformed:
                continue  # dead-lettered when it was handled
            if alert.data.model in self._models:
                self._advance(alert, record)
        self._next[first.partition] = position

    def _absorb(self, record: Record) -> None:
        if record.value is None:
            return
        try:
            self._ledger.absorb(decode_entry(record.value))
        except Malformed as refusal:
            self._dead_letter(record, refusal)

    def _check_identity(self, alerts: TopicPartition) -> None:
        position, high = self._ledger.position(alerts.partition), self._reader.bounds(alerts).high
        if position > high:
            raise LogIdentity(
                f"{alerts.topic}-{alerts.partition} ends at {high}, but {self._topics.retraining} holds a decision "
                f"about offset {position - 1}: a new log of alerts needs a new {self._topics.retraining} as well"
            )
