"""When a monitor that has fired is back at its reference: a mirrored CUSUM, held to a stretch of labels.

Its null is the rate since the onset, its alternative the reference's p0. Errors come in runs (a quiet night, a bad
day), so evidence alone would close and reopen an incident with every run: the statistic must also have stood above
zero for `MIN_LABELS` labels, with no more errors among them than p0 allows.
"""

from __future__ import annotations

import math

import msgspec

from services.detector.structs import FloatArray

THRESHOLD = math.log(1_000)
MIN_LABELS = 500


class Recovery(msgspec.Struct):
    """The way back of one monitor."""

    p_now: float  # rate since the onset, when it fired
    p0: float
    statistic: float = 0.0
    labels: int = 0  # since the statistic was last zero
    errors: int = 0

    def update(self, flags: FloatArray) -> int | None:
        """Fold flags (1 error, 0 none, NaN undefined); return the row at which the monitor is back, the first time."""
        llr_one = math.log(self.p0 / self.p_now)
        llr_zero = math.log((1.0 - self.p0) / (1.0 - self.p_now))
        back: int | None = None
        for row, flag in enumerate(flags.tolist()):
            if flag != flag:  # noqa: PLR0124 - NaN
                continue
            self.statistic += llr_one if flag else llr_zero
            if self.statistic <= 0.0:
                self.statistic, self.labels, self.errors = 0.0, 0, 0
                continue
            self.labels += 1
            self.errors += int(flag)
            if back is None and self._is_back():
                back = row
        return back

    def _is_back(self) -> bool:
        return self.statistic >= THRESHOLD and self.labels >= MIN_LABELS and self.errors <= self.p0 * self.labels
