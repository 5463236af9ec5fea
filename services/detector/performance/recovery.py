"""When a monitor that has fired is back at its reference: a mirrored CUSUM, held to a stretch of labels.

Its null is the rate since the onset, its alternative the reference's p0, both by the age of a label. Errors come in
runs (a quiet night, a bad day), so evidence alone would close and reopen an incident with every run: the statistic must
also have stood above zero for `MIN_LABELS` labels, with no more errors among them than p0 allows.
"""

from __future__ import annotations

import math

import msgspec

from services.detector.structs import FloatArray, IntArray

THRESHOLD = math.log(1_000)
MIN_LABELS = 500


class Recovery(msgspec.Struct):
    """The way back of one monitor."""

    p_now: list[float]  # rate since the onset, when it fired; of each bucket of ages, as the next
    p0: list[float]
    statistic: float = 0.0
    labels: int = 0  # since the statistic was last zero
    errors: int = 0
    expected: float = 0.0  # errors at most among these labels, by their ages

    def update(self, flags: FloatArray, ages: IntArray) -> int | None:
        """Fold flags (1 error, 0 none, NaN undefined); return the row at which the monitor is back, the first time.

        ages: the bucket of each label's age.
        """
        pairs = list(zip(self.p_now, self.p0, strict=True))
        llr_one = [math.log(p0 / p_now) for p_now, p0 in pairs]
        llr_zero = [math.log((1.0 - p0) / (1.0 - p_now)) for p_now, p0 in pairs]
        back: int | None = None
        for row, (flag, age) in enumerate(zip(flags.tolist(), ages.tolist(), strict=True)):
            if flag != flag:  # noqa: PLR0124 - NaN
                continue
            self.statistic += llr_one[age] if flag else llr_zero[age]
            if self.statistic <= 0.0:
                self.statistic, self.labels, self.errors, self.expected = 0.0, 0, 0, 0.0
                continue
            self.labels += 1
            self.errors += int(flag)
            self.expected += self.p0[age]
            if back is None and self._is_back():
                back = row
        return back

    def _is_back(self) -> bool:
        return self.statistic >= THRESHOLD and self.labels >= MIN_LABELS and self.errors <= self.expected
