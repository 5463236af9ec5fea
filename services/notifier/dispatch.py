"""Who is next: notices in order for each channel and story, a few at a time for each channel, later after a failure.

A story is an incident, or a comparison.

Nothing here is kept over a crash: what a successor finds waiting is due at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from services.notifier.book import Waiting

MAX_UNDER_WAY = 8  # per channel
FIRST_WAIT_SECONDS, WAIT_FACTOR, LONGEST_WAIT_SECONDS = 2.0, 4.0, 300.0  # 2, 8, 32, 128, 300, 300, … s


class Dispatch:
    """What is under way, and when the rest is due, in monotonic seconds."""

    def __init__(self) -> None:
        self._under_way: dict[str, Waiting] = {}
        self._partitions: dict[str, int] = {}
        self._due: dict[str, float] = {}

    @property
    def is_idle(self) -> bool:
        """Return whether nothing is under way."""
        return not self._under_way

    def ready(self, waiting: Sequence[Waiting], now: float) -> list[Waiting]:
        """Return what may be sent now, oldest first: of each channel and story only the first that waits."""
        lanes = {(notice.channel, notice.about) for notice in self._under_way.values()}
        busy = Counter(notice.channel for notice in self._under_way.values())
        found = []
        for notice in waiting:
            lane = (notice.channel, notice.about)
            if lane in lanes:
                continue
            lanes.add(lane)
            if self._due.get(notice.id, now) <= now and busy[notice.channel] < MAX_UNDER_WAY:
                busy[notice.channel] += 1
                found.append(notice)
        return found

    def sent(self, partition: int, notice: Waiting) -> None:
        """Remember that `notice` is under way."""
        self._under_way[notice.id], self._partitions[notice.id] = notice, partition

    def answered(self, notice_id: str) -> int:
        """Return the partition of a notice that is not under way any more."""
        del self._under_way[notice_id]
        return self._partitions.pop(notice_id)

    def postpone(self, notice: Waiting, now: float, after: float | None) -> None:
        """Wait for the next attempt, at least `after` seconds."""
        backoff = FIRST_WAIT_SECONDS * WAIT_FACTOR ** min(notice.attempts - 1, 10)
        self._due[notice.id] = now + max(min(backoff, LONGEST_WAIT_SECONDS), after or 0.0)

    def done(self, notice: Waiting) -> None:
        """Forget a notice that waits no more."""
        self._due.pop(notice.id, None)

    def clear(self) -> None:
        """Forget when what was due; what is under way stays so."""
        self._due.clear()
