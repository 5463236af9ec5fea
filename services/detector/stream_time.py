"""Stream time: the model's own clock, made of its predictions' timestamps.

It is the running maximum of the median `ts` of the last 101 served rows, in fold order: one absurd timestamp moves
nothing, and the result depends on the rows only, not on how they were cut into blocks.
"""

from __future__ import annotations

from bisect import bisect_left, insort

import msgspec
import numpy as np

from services.detector.structs import IntArray

WIDTH = 101


class StreamTime(msgspec.Struct):
    """Milliseconds since 1970; `now` is None before the first row."""

    now: int | None = None
    recent: list[int] = []  # oldest first, at most WIDTH

    def advance(self, ts: IntArray) -> IntArray:
        """Take the rows' timestamps and return stream time after each row."""
        recent, ordered = list(self.recent), sorted(self.recent)
        after = np.empty(len(ts), np.int64)
        now = self.now
        for i, value in enumerate(ts.tolist()):
            if len(ordered) == WIDTH:
                del ordered[bisect_left(ordered, recent[len(recent) - WIDTH])]
            recent.append(value)
            insort(ordered, value)
            median = ordered[(len(ordered) - 1) // 2]
            now = median if now is None or median > now else now
            after[i] = now
        self.now, self.recent = now, recent[-WIDTH:]
        return after
