"""Alerts in, notices out, at least once and normally once: write down as alerts come, deliver in between.

A record is done when the book that holds its notices is stored; deliveries follow, and a notice leaves the book when
its channel has it. So a crash repeats at most what was under way, with the same ids. Two processes on one partition do
no harm: one of them loses the compare-and-set, and reads the book again.

Where there is no book yet, or not any more, the retained alerts are folded quietly up to where the host goes on, and
to their end where the host never came before. Then what is open is told, and nothing else: nobody gets a month of
history, nobody misses what burns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import structlog

from services.notifier.book import Book, Waiting
from services.notifier.books import Books, Fate
from services.notifier.channels.channel import Channel, Delivered, HttpChannel, Notice, Verdict
from services.notifier.desk import Desk
from services.notifier.dispatch import Dispatch
from services.notifier.fold import MAX_WAITING, NOBODY, Arisen
from services.notifier.render import render
from services.notifier.routing import Routes
from services.notifier.tally import Tally
from shared.clock import Clock
from shared.durations import UNITS_MS
from shared.errors import LogIdentity, Malformed, Unavailable
from shared.events.alert import Alert, Incident, IncidentEvent, Severity, decode_alert
from shared.events.dead_letter import dead_letter
from shared.failpoints import Failpoints
from shared.history import history
from shared.http import Courier, HttpResponse
from shared.log import Reader, Record, TopicPartition, Writer
from shared.measures import Measure
from shared.topics import Topics
from shared.verdicts import Refused, TryLater

LOG = structlog.get_logger("notifier")
PATIENCE_MS = UNITS_MS["d"]  # of log time; a notice that is older is not tried again
PAGES = (IncidentEvent.OPENED, IncidentEvent.ESCALATED)
LEAVING_SECONDS = 3.0  # how long answers are waited for at the end


class NotifierStage:
    """The service over its ports.

    channels: by the names that routes use. reader: reads history at explicit positions, apart from the host's own
    reading.
    """

    name = "notifier"

    def __init__(
        self,
        *,
        topics: Topics,
        routes: Routes,
        channels: Mapping[str, Channel],
        books: Books,
        courier: Courier,
        reader: Reader,
        writer: Writer,
        clock: Clock,
        failpoints: Failpoints,
    ) -> None:
        self.topic = topics.alerts
        self._topics = topics
        self._routes = routes
        self._channels = channels
        self._books = books
        self._courier = courier
        self._reader = reader
        self._writer = writer
        self._clock = clock
        self._failpoints = failpoints
        self._partitions: frozenset[int] = frozenset()
        self._desks: dict[int, Desk] = {}
        self._dispatch = Dispatch()
        self._tally = Tally(channels)
        self._is_closed = False

    def assigned(self, partitions: frozenset[int]) -> None:
        """Own `partitions`; their books are read when they are needed."""
        self._partitions = partitions
        self._desks.clear()
        self._dispatch.clear()

    def handle(self, record: Record) -> None:
        """Write down the notices that one alert causes; what is no alert goes to the dead letters.

        Raises:
            LogIdentity: the book is ahead of the log; that topic is another one now.
        """
        while record.partition in self._partitions and not self._take(record):
            self._reread(record.partition)

    def tick(self) -> bool:
        """Take the answers that came, send what is due."""
        self._store_all()  # nothing is sent that a crash would forget
        answered = self._collect(0.0)
        sent = self._send()
        self._store_all()
        return answered or sent

    def measures(self) -> Iterable[Measure]:
        """Return what this process told, and what waits."""
        return self._tally.measures([desk.book for desk in self._desks.values()])

    def close(self) -> None:
        """Wait a moment for answers that are under way, store them, leave; idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        end = self._clock.monotonic() + LEAVING_SECONDS
        try:
            while not self._dispatch.is_idle and (left := end - self._clock.monotonic()) > 0:
                if not self._collect(left):
                    break
            self._store_all()
        except Unavailable as exc:
            LOG.warning("answers_not_stored", error=str(exc))
        finally:
            self._courier.close()
            self._books.close()
            self._writer.close()
            self._reader.close()

    def _take(self, record: Record) -> bool:
        """Bring a partition behind `record`; False when someone else moved its book meanwhile."""
        desk = self._desk(record.partition) or self._begin(record)
        # A host that leaves records out between two deliveries must not make an alert disappear.
        for missed in history(self._reader, record.source, desk.book.position, record.offset):
            self._consider(desk, missed)
        if record.offset >= desk.book.position:
            self._consider(desk, record)
        self._failpoints.hit("notifier.before_notices")
        if not desk.store(self._books):
            return False
        self._failpoints.hit("notifier.after_notices")
        return True

    def _consider(self, desk: Desk, record: Record) -> None:
        self._account(desk, desk.take(record, self._decode(record), self._routes))

    def _decode(self, record: Record) -> Alert | None:
        try:
            return decode_alert(record.value)
        except Malformed as refusal:
            LOG.warning("record_refused", topic=record.topic, offset=record.offset, reason=refusal.reason)
            self._dead_letter(record, refusal.reason, refusal.detail, model=None)
            return None

    def _begin(self, first: Record) -> Desk:
        """Return the desk of a partition without a book, after the alerts that nobody is told of."""
        bounds = self._reader.bounds(first.source)
        is_new = first.offset <= bounds.low
        desk = Desk(first.partition, Book(position=bounds.low), {}, None)
        for record in history(self._reader, first.source, 0, bounds.high if is_new else first.offset):
            desk.take(record, self._decode(record), NOBODY)
        self._account(desk, desk.tell_open(self._routes))
        LOG.info("began", partition=first.partition, position=desk.book.position, open=len(desk.book.open))
        self._desks[first.partition] = desk
        return desk

    def _account(self, desk: Desk, arisen: Arisen) -> None:
        for notice in arisen.notices:
            self._tally.arose(notice)
        for notice in arisen.crowded_out:
            self._give_up(desk, notice, Fate.UNDELIVERABLE, f"more than {MAX_WAITING} notices waited")

    def _collect(self, timeout: float) -> bool:
        answers = self._courier.collect(timeout)
        for notice_id, answer in answers:
            desk = self._desks.get(self._dispatch.answered(notice_id))
            notice = None if desk is None else desk.find(notice_id)
            if desk is not None and notice is not None:
                self._settle(desk, notice, self._verdict(notice, answer))
        return bool(answers)

    def _verdict(self, notice: Waiting, answer: HttpResponse | Unavailable) -> Verdict:
        channel = self._channels.get(notice.channel)
        if isinstance(answer, Unavailable):
            return TryLater(str(answer))
        return channel.verdict(answer) if isinstance(channel, HttpChannel) else Refused("the channel is gone")

    def _send(self) -> bool:
        now = self._clock.monotonic()
        waiting = [(desk, notice) for desk in self._desks.values() for notice in desk.book.waiting]
        desks = {notice.id: desk for desk, notice in waiting}
        ready = self._dispatch.ready([notice for _, notice in waiting], now)
        for notice in ready:
            self._attempt(desks[notice.id], notice)
        return bool(ready)

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
                self._give_up(desk, notice, Fate.REFUSED, reason)
            case TryLater(reason) if desk.book.log_time_ms - notice.since_ms >= PATIENCE_MS:
                self._give_up(desk, notice, Fate.UNDELIVERABLE, f"{reason}; gave up after {notice.attempts} attempts")
            case TryLater(reason, after):
                self._tally.failed(notice)
                self._dispatch.postpone(notice, self._clock.monotonic(), after)
                LOG.warning("not_delivered", reason=reason, attempts=notice.attempts, **_named(notice))

    def _give_up(self, desk: Desk, notice: Waiting, fate: Fate, reason: str) -> None:
        LOG.error("given_up", fate=fate, reason=reason, attempts=notice.attempts, **_named(notice))
        record = Record(
            topic=self.topic,
            partition=desk.partition,
            offset=notice.offset,
            timestamp_ms=notice.since_ms,
            key=None,
            value=desk.alert(notice),
        )
        self._dead_letter(record, fate, f"channel {notice.channel}: {reason}", model=notice.model)
        self._conclude(desk, notice, fate, reason)

    def _conclude(self, desk: Desk, notice: Waiting, fate: Fate, reason: str | None) -> None:
        desk.conclude(notice, fate, reason, self._clock.now_ms())
        self._dispatch.done(notice)
        self._tally.concluded(notice, fate)

    def _desk(self, partition: int) -> Desk | None:
        if partition not in self._desks:
            desk = Desk.load(self._books, partition)
            if desk is None:
                return None
            self._check_identity(desk)
            self._desks[partition] = desk
        return self._desks[partition]

    def _check_identity(self, desk: Desk) -> None:
        high = self._reader.bounds(TopicPartition(self.topic, desk.partition)).high
        if desk.book.position > high:
            raise LogIdentity(
                f"{self.topic}-{desk.partition} ends at {high}, but the notifier's book is at {desk.book.position}: "
                "a new log of alerts needs a new book as well"
            )

    def _store_all(self) -> None:
        for partition in sorted(self._partitions):
            desk = self._desk(partition)
            if desk is not None and not desk.store(self._books):
                self._reread(partition)

    def _reread(self, partition: int) -> None:
        LOG.warning("book_moved", partition=partition)
        self._desks.pop(partition, None)
        self._desk(partition)

    def _dead_letter(self, record: Record, reason: str, detail: str, *, model: str | None) -> None:
        self._writer.send(
            dead_letter(self._topics, record, service=self.name, reason=reason, detail=detail, model=model)
        )
        self._writer.flush()
        self._tally.dead_lettered(reason)


def _message(notice: Waiting, alert: bytes) -> Notice:
    decoded = decode_alert(alert)
    if not isinstance(decoded.data, Incident):
        raise Malformed("schema", "no incident")
    return Notice(
        id=notice.id,
        event=notice.event,
        repeat=notice.repeat,
        text=render(notice.event, decoded.data, notice.repeat),
        incident=decoded.data,
        alert=alert,
        alert_id=decoded.id,
        is_page=notice.event in PAGES and decoded.data.severity is not Severity.INFO,
    )


def _named(notice: Waiting) -> dict[str, object]:
    return {
        "channel": notice.channel,
        "incident": notice.incident_id,
        "of": notice.event,
        "repeat": notice.repeat,
        "notice": notice.id,
    }
