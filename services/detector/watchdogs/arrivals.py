"""When rows of a stream come, and whether a silence is longer than what is usual at this time of the week.

A week has slots of ten minutes. Of each it is known how often it was seen to its end, and in how many of these a row
came. A silence is judged slot by slot: the chance that a slot stays empty is the largest of those around it, so that
traffic may begin an hour early or late, as it does when clocks change; one that no row ever came in says nothing. What
is too sparse or too bursty for that is known by its longest silence so far.

Time that no record of the log witnesses counts for nothing: whoever was away then, it was not the model.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec
import numpy as np

from shared.durations import UNITS_MS

SLOT_MS = 10 * UNITS_MS["m"]
SLOTS = UNITS_MS["w"] // SLOT_MS
AROUND = UNITS_MS["h"] // SLOT_MS  # slots before and after one that count as the same time of the week
MAX_SEEN = 52  # weeks that a slot remembers; then they count half, so that the newer ones weigh more
SHORTEST_MS = 10 * UNITS_MS["m"]  # no silence is told of before
UNKNOWN_WEEK_MS = 3 * UNITS_MS["d"]  # the same until a week is known: a weekend is none
TIMES_LONGEST = 2.0
WEEKLY_DECAY = 0.5 ** (1 / 26)  # of the longest silence: one that comes every quarter stays usual
CHANCE_PER_WEEK = 0.01
UNCALIBRATED = 1.0


class Silence(NamedTuple):
    """No row has come for longer than is usual."""

    lasted_ms: int
    limit_ms: int  # what it was compared with
    chance_per_week: float  # that traffic as usual has such a silence; UNCALIBRATED where nobody knows


class Arrivals(msgspec.Struct):
    """One stream. Times are milliseconds; `witnessed` leaves out what no record witnessed."""

    began: int  # witnessed time
    last: int  # witnessed time of the last row, or of the beginning
    slot: int  # number of the slot since 1970 that is being counted
    rows: int = 0
    is_busy: bool = False  # a row came in the slot
    is_whole: bool = False  # its beginning was witnessed
    longest: float = 0.0
    quiet: int = 0  # whole slots since the last row; they are counted when the silence is over
    chance: float = 1.0  # that all of these stay empty
    seen: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(SLOTS, np.uint8))
    busy: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(SLOTS, np.uint8))

    @classmethod
    def beginning(cls, log_time: int, witnessed: int) -> Arrivals:
        """Return a stream of which nothing is known."""
        return cls(began=witnessed, last=witnessed, slot=log_time // SLOT_MS)

    def arrive(self, rows: int, witnessed: int) -> None:
        """Take rows."""
        self._end_silence()
        self.longest = max(self.longest, float(witnessed - self.last))
        self.rows, self.last, self.is_busy = self.rows + rows, witnessed, True

    def go_to(self, log_time: int, *, is_witnessed: bool) -> None:
        """Let time pass; not `is_witnessed`: nothing is known of what lies between."""
        slot = log_time // SLOT_MS
        if slot == self.slot and is_witnessed:
            return
        if not is_witnessed:
            self._end_silence()
        elif self.is_whole:
            self._close()
        if slot // SLOTS > self.slot // SLOTS:
            self.longest *= WEEKLY_DECAY
        self.slot, self.is_busy, self.is_whole = slot, False, is_witnessed

    def hold(self, ms: int) -> None:
        """Let witnessed time pass in which no row could come."""
        self._end_silence()
        self.last, self.is_whole = self.last + ms, False

    @property
    def knows_week(self) -> bool:
        """Tell whether rows have come for a week: a weekend has been seen to its end."""
        return self.last - self.began >= UNITS_MS["w"]

    def silence(self, witnessed: int, limit_ms: int | None) -> Silence | None:
        """Return the silence that lasts, if it is longer than `limit_ms`, or than is usual where there is none."""
        lasted = witnessed - self.last
        if limit_ms is not None:
            return Silence(lasted, limit_ms, UNCALIBRATED) if lasted > limit_ms else None
        if lasted <= SHORTEST_MS or not self.rows:
            return None
        starts = int(np.count_nonzero(self.busy))  # a silence may begin after any of these slots
        if starts and self.chance * starts <= CHANCE_PER_WEEK:
            return Silence(lasted, SHORTEST_MS, self.chance * starts)
        shortest = SHORTEST_MS if self.knows_week else UNKNOWN_WEEK_MS
        limit = max(int(TIMES_LONGEST * self.longest), shortest)
        return Silence(lasted, limit, UNCALIBRATED) if lasted > limit else None

    def _close(self) -> None:
        """Take a slot that was seen to its end."""
        if self.is_busy:
            self._count(self.slot % SLOTS, is_busy=True)
            return
        around = np.arange(self.slot - AROUND, self.slot + AROUND + 1) % SLOTS
        seen, busy = self.seen[around].astype(np.float64), self.busy[around].astype(np.float64)
        self.chance *= float(((seen - busy + 0.5) / (seen + 0.5)).max())
        self.quiet += 1

    def _end_silence(self) -> None:
        for slot in range(self.slot - self.quiet, self.slot):
            self._count(slot % SLOTS, is_busy=False)
        self.quiet, self.chance = 0, 1.0

    def _count(self, place: int, *, is_busy: bool) -> None:
        self.seen[place] += 1
        self.busy[place] += is_busy
        if self.seen[place] == MAX_SEEN:
            self.seen[place] //= 2
            self.busy[place] = (self.busy[place] + 1) // 2
