"""What the notifier counts of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from services.notifier.book import Book, Waiting
from services.notifier.books import Fate
from services.notifier.fold import MAX_COMPARED, MAX_OPEN, MAX_WAITING
from shared.events.alert import OF_CHALLENGERS, OF_INCIDENTS
from shared.measures import Labels, Measure, bounded

_EVENTS = [event.name.lower() for event in (*OF_INCIDENTS, *OF_CHALLENGERS.values())]


class Tally:
    """Counts since the process began; channels are those of the configuration."""

    def __init__(self, channels: Iterable[str]) -> None:
        self._channels = tuple(channels)
        self._arisen: Counter[Labels] = Counter({(event,): 0 for event in _EVENTS})
        self._repeats: Counter[Labels] = self._per_channel()
        self._attempts: Counter[Labels] = self._per_channel()
        self._failures: Counter[Labels] = self._per_channel()
        self._fates: Counter[Labels] = Counter({(name, fate): 0 for name in self._channels for fate in Fate})

    def arose(self, notice: Waiting) -> None:
        """Count a new notice."""
        self._arisen[(notice.event.name.lower(),)] += 1
        if notice.repeat:
            self._repeats[(notice.channel,)] += 1

    def attempted(self, notice: Waiting) -> None:
        """Count an attempt that has its answer."""
        self._attempts[(notice.channel,)] += 1

    def failed(self, notice: Waiting) -> None:
        """Count an attempt that is made again."""
        self._failures[(notice.channel,)] += 1

    def concluded(self, notice: Waiting, fate: Fate) -> None:
        """Count what became of a notice."""
        self._fates[(notice.channel, fate)] += 1

    def measures(self, books: Sequence[Book]) -> Iterable[Measure]:
        """Return the counts, and of what waits now how much and since when, in log time."""
        waiting = [notice for book in books for notice in book.waiting]
        count = self._per_channel()
        count.update((notice.channel,) for notice in waiting)
        oldest: dict[Labels, float] = {}
        for notice in waiting:
            since = notice.since_ms / 1_000
            oldest[(notice.channel,)] = min(oldest.get((notice.channel,), since), since)
        channel = ("channel",)
        known, compared = (
            max((len(of) for of in each), default=0)
            for each in ([book.open for book in books], [book.compared for book in books])
        )
        yield Measure("notifier_notices_total", "Notices that arose, by event.", dict(self._arisen), ("event",))
        yield Measure("notifier_repeats_total", "Of these, repeats.", dict(self._repeats), channel)
        yield Measure("notifier_attempts_total", "Attempts to deliver.", dict(self._attempts), channel)
        yield Measure("notifier_failures_total", "Attempts that are made again.", dict(self._failures), channel)
        fates = "Notices that wait no more, by what became of them."
        yield Measure("notifier_concluded_total", fates, dict(self._fates), ("channel", "fate"))
        yield from bounded("notifier_waiting", "Notices that wait.", dict(count), MAX_WAITING, channel)
        yield Measure(
            "notifier_oldest_waiting_timestamp_seconds", "When the oldest notice that waits arose.", oldest, channel
        )

        yield from bounded(
            "notifier_open_incidents", "Incidents that are open, of the fullest partition.", {(): known}, MAX_OPEN
        )
        yield from bounded(
            "notifier_challengers",
            "Challengers whose verdict is known, of the fullest partition.",
            {(): compared},
            MAX_COMPARED,
        )

    def _per_channel(self) -> Counter[Labels]:
        return Counter({(name,): 0 for name in self._channels})
