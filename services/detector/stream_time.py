"""Stream time: the model's own clock, made of its predictions' timestamps.

It is the running maximum of the median `ts` of the last 101 served rows, in fold order: one absurd timestamp moves
nothing, and the result depends on the rows only, not on how they were cut into blocks.
"""

from __future__ import annotations

import msgspec
import numpy as np

from services.detector.banks.compiled import dense, kernel
from services.detector.structs import IntArray

WIDTH = 101
_NEVER = -(1 << 63)


class StreamTime(msgspec.Struct):
    """Milliseconds since 1970; `now` is None before the first row."""

    now: int | None = None
    recent: list[int] = []  # oldest first, at most WIDTH

    def advance(self, ts: IntArray) -> IntArray:
        """Take the rows' timestamps and return stream time after each row."""
        rows = np.concatenate([np.array(self.recent, np.int64), dense(ts, np.int64)])
        after = np.empty(len(ts), np.int64)
        if len(ts):
            _advance(rows, len(self.recent), _NEVER if self.now is None else self.now, after)
            self.now, self.recent = int(after[-1]), rows[-WIDTH:].tolist()
        return after


@kernel
def _advance(rows: IntArray, kept: int, now: int, after: IntArray) -> None:
    """Fill `after` for the rows from `kept` on; `rows` begins with those that the window holds already."""
    ordered = np.zeros(WIDTH, np.int64)
    held = 0
    for i in range(rows.shape[0]):
        if held == WIDTH:  # the oldest leaves
            place = np.searchsorted(ordered, rows[i - WIDTH])
            for k in range(place, WIDTH - 1):
                ordered[k] = ordered[k + 1]
            held -= 1
        place = held
        while place > 0 and ordered[place - 1] > rows[i]:
            ordered[place] = ordered[place - 1]
            place -= 1
        ordered[place] = rows[i]
        held += 1
        if i >= kept:
            now = max(now, ordered[(held - 1) // 2])
            after[i - kept] = now
