"""From waiting notices to channels: send what is due, take the answers, and write down what became of each notice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import structlog

from services.notifier.book import Waiting
from services.notifier.books import Fate
from services.notifier.channels.channel import Channel, Delivered, HttpChannel, Notice, Verdict
from services.notifier.desk import Desk
from services.notifier.dispatch import Dispatch
from services.notifier.letters import DeadLetters
from services.notifier.render import render
from services.notifier.routing import severity_of
from services.notifier.tally import Tally
from shared.clock import Clock
from shared.durations import UNITS_MS
from shared.errors import Malformed, Unavailable
from shared.events.alert import Heartbeat, IncidentEvent, Severity, decode_alert
from shared.failpoints import Failpoints
from shared.http import Courier
from shared.log import Record
from shared.verdicts import Refused, TryLater

LOG = structlog.get_logger("notifier")
PATIENCE_MS = UNITS_MS["d"]  # of log time; a notice that is older is not tried again
PAGES = (IncidentEvent.OPENED, IncidentEvent.ESCALATED)


class Post:
    """The channels by their names, and what is under way to them. Desks are changed, never stored, here."""

    def __init__(
        self,
        *,
        topic: str,
        channels: Mapping[str, Channel],
        courier: Courier,
        clock: Clock,
        letters: DeadLetters,
        tally: Tally,
        failpoints: Failpoints,
    ) -> None:
        self._topic = topic
        self._channels = channels
        self._courier = courier
        self._clock = clock
        self._letters = letters
        self._tally = tally
        self._failpoints = failpoints
        self._dispatch = Dispatch()
        self._asked: dict[str, HttpChannel] = {}  # whose answer it is, by notice

    @property
    def is_idle(self) -> bool:
        """Return whether no answer is missing."""
        return self._dispatch.is_idle

    def send(self, desks: Iterable[Desk]) -> bool:
        """Send what is due; return whether there was any."""
        waiting = [(desk, notice) for desk in desks for notice in desk.book.waiting]
        desk_of = {notice.id: desk for desk, notice in waiting}
        ready = self._dispatch.ready([notice for _, notice in waiting], self._clock.monotonic())
        for notice in ready:
            self._attempt(desk_of[notice.id], notice)
        return bool(ready)

    def collect(self, desks: Mapping[int, Desk], timeout: float) -> bool:
        """Take the answers that came, waiting at most `timeout` seconds for a first; return whether there was any."""
        answers = self._courier.collect(timeout)
        for notice_id, answer in answers:
            channel, desk = self._asked.pop(notice_id), desks.get(self._dispatch.answered(notice_id))
            notice = None if desk is None else desk.find(notice_id)
            if desk is not None and notice is not None:
                verdict = TryLater(str(answer)) if isinstance(answer, Unavailable) else channel.verdict(answer)
                self._settle(desk, notice, verdict)
        return bool(answers)

    def give_up(self, desk: Desk, notice: Waiting, fate: Fate, reason: str) -> None:
        """Dead-letter a notice; it waits no more."""
        LOG.error("given_up", fate=fate, reason=reason, attempts=notice.attempts, **_named(notice))
        record = Record(
            topic=self._topic,
            partition=desk.partition,
            offset=notice.offset,
            timestamp_ms=notice.since_ms,
            key=None,
            value=desk.alert(notice),
        )
        self._letters.write(record, fate, f"channel {notice.channel}: {reason}", model=notice.model)
        self._conclude(desk, notice, fate, reason)

    def forget_waits(self) -> None:
        """Regard everything as due: the books are read anew. What is under way stays so."""
        self._dispatch.clear()

    def close(self) -> None:
        """Drop what is under way; idempotent."""
        self._courier.close()

    def _attempt(self, desk: Desk, notice: Waiting) -> None:
        channel = self._channels.get(notice.channel)
        if channel is None:
            self._settle(desk, notice, Refused("driftline.yaml has no such channel any more"))
            return
        try:
            message = _message(notice, desk.alert(notice))
        except Malformed as refusal:
            self._settle(desk, notice, Refused(f"this release does not read the alert that is told: {refusal}"))
            return
        if isinstance(channel, HttpChannel):
            self._courier.submit(notice.id, channel.request(message, self._clock.now_ms()))
            self._asked[notice.id] = channel
            self._dispatch.sent(desk.partition, notice)
        else:
            channel.deliver(message)
            self._settle(desk, notice, Delivered())

    def _settle(self, desk: Desk, notice: Waiting, verdict: Verdict) -> None:
        self._failpoints.hit("notifier.after_send")
        desk.attempted(notice, None if isinstance(verdict, Delivered) else verdict.reason)
        self._tally.attempted(notice)
        match verdict:
            case Delivered():
                self._conclude(desk, notice, Fate.DELIVERED, None)
                LOG.debug("delivered", **_named(notice))
            case Refused(reason):
                self.give_up(desk, notice, Fate.REFUSED, reason)
            case TryLater(reason) if desk.book.log_time_ms - notice.since_ms >= PATIENCE_MS:
                self.give_up(desk, notice, Fate.UNDELIVERABLE, f"{reason}; gave up after {notice.attempts} attempts")
            case TryLater(reason, after):
                self._tally.failed(notice)
                self._dispatch.postpone(notice, self._clock.monotonic(), after)
                LOG.warning("not_delivered", reason=reason, attempts=notice.attempts, **_named(notice))

    def _conclude(self, desk: Desk, notice: Waiting, fate: Fate, reason: str | None) -> None:
        desk.conclude(notice, fate, reason, self._clock.now_ms())
        self._dispatch.done(notice)
        self._tally.concluded(notice, fate)


def _message(notice: Waiting, alert: bytes) -> Notice:
    decoded = decode_alert(alert)
    if isinstance(decoded.data, Heartbeat):
        raise Malformed("schema", "no incident and no verdict")
    return Notice(
        id=notice.id,
        event=notice.event,
        repeat=notice.repeat,
        text=render(notice.event, decoded.data, notice.repeat),
        data=decoded.data,
        alert=alert,
        alert_id=decoded.id,
        is_page=notice.event in PAGES and severity_of(decoded.data) is not Severity.INFO,
    )


def _named(notice: Waiting) -> dict[str, object]:
    return {
        "channel": notice.channel,
        "about": notice.about,
        "of": notice.event,
        "repeat": notice.repeat,
        "notice": notice.id,
    }
