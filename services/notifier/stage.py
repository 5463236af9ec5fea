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

from services.notifier.book import Book
from services.notifier.books import Books, Fate
from services.notifier.channels.channel import Channel
from services.notifier.desk import Desk
from services.notifier.fold import MAX_WAITING, NOBODY, Arisen
from services.notifier.letters import DeadLetters
from services.notifier.post import Post
from services.notifier.routing import Routes
from services.notifier.tally import Tally
from shared.clock import Clock
from shared.errors import LogIdentity, Malformed, Unavailable
from shared.events.alert import Alert, decode_alert
from shared.failpoints import Failpoints
from shared.history import history
from shared.http import Courier
from shared.log import Reader, Record, TopicPartition, Writer
from shared.measures import Measure
from shared.topics import Topics

LOG = structlog.get_logger("notifier")
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
        self._routes = routes
        self._books = books
        self._reader = reader
        self._clock = clock
        self._failpoints = failpoints
        self._partitions: frozenset[int] = frozenset()
        self._desks: dict[int, Desk] = {}
        self._tally = Tally(channels)
        self._letters = DeadLetters(topics, writer, self.name)
        self._post = Post(
            topic=self.topic,
            channels=channels,
            courier=courier,
            clock=clock,
            letters=self._letters,
            tally=self._tally,
            failpoints=failpoints,
        )
        self._is_closed = False

    def assigned(self, partitions: frozenset[int]) -> None:
        """Own `partitions`; their books are read when they are needed."""
        self._partitions = partitions
        self._desks.clear()
        self._post.forget_waits()

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
        answered = self._post.collect(self._desks, 0.0)
        sent = self._post.send(self._desks.values())
        self._store_all()
        return answered or sent

    def measures(self) -> Iterable[Measure]:
        """Return what this process told, and what waits."""
        yield from self._tally.measures([desk.book for desk in self._desks.values()])
        yield self._letters.measure()

    def close(self) -> None:
        """Wait a moment for answers that are under way, store them, leave; idempotent."""
        if self._is_closed:
            return
        self._is_closed = True
        end = self._clock.monotonic() + LEAVING_SECONDS
        try:
            while not self._post.is_idle and (left := end - self._clock.monotonic()) > 0:
                if not self._post.collect(self._desks, left):
                    break
            self._store_all()
        except Unavailable as exc:
            LOG.warning("answers_not_stored", error=str(exc))
        finally:
            self._post.close()
            self._books.close()
            self._letters.close()
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

    def _decode(self, record: Record, *, was_handled: bool = False) -> Alert | None:
        try:
            return decode_alert(record.value)
        except Malformed as refusal:
            if not was_handled:
                LOG.warning("record_refused", topic=record.topic, offset=record.offset, reason=refusal.reason)
                self._letters.write(record, refusal.reason, refusal.detail, model=None)
            return None

    def _begin(self, first: Record) -> Desk:
        """Return the desk of a partition without a book, after the alerts that nobody is told of."""
        bounds = self._reader.bounds(first.source)
        is_new = first.offset <= bounds.low
        desk = Desk(first.partition, Book(position=bounds.low), {}, None)
        for record in history(self._reader, first.source, 0, bounds.high if is_new else first.offset):
            desk.take(record, self._decode(record, was_handled=not is_new), NOBODY)
        self._account(desk, desk.tell_open(self._routes))
        LOG.info("began", partition=first.partition, position=desk.book.position, open=len(desk.book.open))
        self._desks[first.partition] = desk
        return desk

    def _account(self, desk: Desk, arisen: Arisen) -> None:
        for notice in arisen.notices:
            self._tally.arose(notice)
        for notice in arisen.crowded_out:
            self._post.give_up(desk, notice, Fate.UNDELIVERABLE, f"more than {MAX_WAITING} notices waited")

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
        self._post.forget_waits()
        self._desk(partition)
