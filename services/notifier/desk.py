"""One partition at work: its book in memory, the alerts it needs, and what of both is not stored yet."""

from __future__ import annotations

from services.notifier.book import Book, Waiting
from services.notifier.books import Books, Change, Fate, Outcome
from services.notifier.fold import Arisen, fold, tell_open
from services.notifier.routing import Routes
from shared.errors import Corrupt
from shared.events.alert import Alert, Heartbeat
from shared.log import Record
from shared.values import format_ts

STORED_EVERY = 1_000  # records that change nothing are stored in passing: they are read again after a crash


class Desk:
    """The book of `partition`, with its changes since it was stored."""

    def __init__(self, partition: int, book: Book, alerts: dict[int, bytes], stored: bytes | None) -> None:
        self.partition = partition
        self.book = book
        self._alerts = alerts
        self._stored = stored
        self._stored_offsets = frozenset(alerts)
        self._stored_position = book.position
        self._many_alerts = len(alerts) + STORED_EVERY
        self._outcomes: list[Outcome] = []
        self._is_changed = stored is None

    @classmethod
    def load(cls, books: Books, partition: int) -> Desk | None:
        """Return a partition as it was stored; None where it never was.

        Raises:
            Corrupt: the book does not read back, or alerts that it names are missing.
        """
        stored = books.load(partition)
        if stored is None:
            return None
        book = Book.unpack(stored.book)
        missing = book.offsets() - stored.alerts.keys()
        if missing:
            raise Corrupt(f"the notifier's book of partition {partition} lost the alerts at offsets {sorted(missing)}")
        return cls(partition, book, dict(stored.alerts), stored.book)

    def take(self, record: Record, alert: Alert | None, routes: Routes) -> Arisen:
        """Fold one record into the book."""
        if len(self._alerts) > self._many_alerts:
            self._forget_alerts()
        if alert is not None and not isinstance(alert.data, Heartbeat):
            self._alerts[record.offset] = record.value or b""
            self._is_changed = True
        arisen = fold(self.book, routes, record.offset, record.timestamp_ms, alert)
        self._is_changed |= alert is None or bool(arisen.notices)
        return arisen

    def tell_open(self, routes: Routes) -> Arisen:
        """Tell of every incident that is open, and every verdict that stands."""
        return tell_open(self.book, routes)

    def alert(self, notice: Waiting) -> bytes:
        """Return the alert that a notice tells, as it was published."""
        return self._alerts[notice.offset]

    def find(self, notice_id: str) -> Waiting | None:
        """Return a notice, if it still waits."""
        return next((notice for notice in self.book.waiting if notice.id == notice_id), None)

    def attempted(self, notice: Waiting, problem: str | None) -> None:
        """Count an attempt, and what it met."""
        notice.attempts += 1
        notice.problem = problem
        self._is_changed = True

    def conclude(self, notice: Waiting, fate: Fate, reason: str | None, now_ms: int) -> None:
        """Write down what became of a notice; it waits no more."""
        self.book.waiting = [other for other in self.book.waiting if other is not notice]
        self._outcomes.append(
            Outcome(
                at=format_ts(now_ms),
                notice=notice.id,
                fate=fate,
                channel=notice.channel,
                model=notice.model,
                about=notice.about,
                event=notice.event,
                repeat=notice.repeat,
                attempts=notice.attempts,
                reason=reason,
            )
        )
        self._is_changed = True

    def store(self, books: Books) -> bool:
        """Store what changed. Return False when the book was moved by someone else: this one is worth nothing then.

        Raises:
            Unavailable: the store is away; the changes are kept, and the next call tells whether they were stored.
        """
        if not self._is_changed and self.book.position < self._stored_position + STORED_EVERY:
            return True
        self._forget_alerts()
        packed, offsets = self.book.pack(), frozenset(self._alerts)
        change = Change(
            book=packed,
            added={offset: self._alerts[offset] for offset in sorted(offsets - self._stored_offsets)},
            dropped=sorted(self._stored_offsets - offsets),
            outcomes=self._outcomes,
        )
        if not books.advance(self.partition, self._stored, change):
            return False
        self._stored, self._stored_offsets, self._stored_position = packed, offsets, self.book.position
        self._outcomes, self._is_changed = [], False
        return True

    def _forget_alerts(self) -> None:
        needed = self.book.offsets()
        self._alerts = {offset: alert for offset, alert in self._alerts.items() if offset in needed}
        self._many_alerts = 2 * len(self._alerts) + STORED_EVERY
