"""When a monitor that has fired is back at its reference: a mirrored CUSUM, held to a stretch of labels.

Its null is the rate since the onset, its alternative the reference's p0, both by the age of a label. Errors come in
runs (a quiet night, a bad day), so evidence alone would close and reopen an incident with every run: the statistic must
also have stood above zero for `MIN_LABELS` labels, with no more errors among them than p0 allows. Three final cohorts
in a row that were served since do as well, where each is surely no worse than p0: a CUSUM waits long for few labels.
"""

from __future__ import annotations

import math

import msgspec

from services.detector.structs import FloatArray, IntArray

THRESHOLD = math.log(1_000)
MIN_LABELS = 500
COHORTS, ALLOWANCE = 3, 1.1  # final cohorts in a row whose rate is, with 97.5 % confidence, at most so many times p0


class Recovery(msgspec.Struct):
    """The way back of one monitor."""

    p_now: list[float]  # rate since the onset, when it fired; of each bucket of ages, as the next
    p0: list[float]
    statistic: float = 0.0
    labels: int = 0  # since the statistic was last zero
    errors: float = 0.0
    expected: float = 0.0  # errors at most among these labels, by their ages
    since_row: int = 0  # of the predictions, when it fired
    cohorts: int = 0  # final ones in a row that were no worse than p0

    def begin_cohorts(self, since_row: int) -> None:
        """Look at cohorts from a row on only: the monitor fired again."""
        self.since_row, self.cohorts = since_row, 0

    def finish(self, first_row: int, upper: float | None, p0: float) -> bool:
        """Take a final cohort; tell whether the monitor is back.

        first_row: at which it began; one that began before the monitor fired says nothing. upper: the upper end of the
        95 % interval of its rate of errors, None where it has none. p0: the largest rate that counts as none the worse.
        """
        if first_row > self.since_row and upper is not None:
            self.cohorts = self.cohorts + 1 if upper <= ALLOWANCE * p0 else 0
        return self.cohorts >= COHORTS

    def update(self, flags: FloatArray, ages: IntArray) -> int | None:
        """Return the row at which the monitor is back, the first time.

        flags: [rows], 1 error, 0 none, a loss between them, NaN undefined; ages: the bucket of each label's age.
        """
        pairs = list(zip(self.p_now, self.p0, strict=True))
        llr_one = [math.log(p0 / p_now) for p_now, p0 in pairs]
        llr_zero = [math.log((1.0 - p0) / (1.0 - p_now)) for p_now, p0 in pairs]
        back: int | None = None
        for row, (flag, age) in enumerate(zip(flags.tolist(), ages.tolist(), strict=True)):
            if flag != flag:  # noqa: PLR0124 - NaN
                continue
            self.statistic += _between(flag, llr_one[age], llr_zero[age])
            if self.statistic <= 0.0:
                self.statistic, self.labels, self.errors, self.expected = 0.0, 0, 0.0, 0.0
                continue
            self.labels += 1
            self.errors += flag
            self.expected += self.p0[age]
            if back is None and self._is_back():
                back = row
        return back

    def _is_back(self) -> bool:
        return self.statistic >= THRESHOLD and self.labels >= MIN_LABELS and self.errors <= self.expected


def _between(flag: float, one: float, zero: float) -> float:
    """Return what a flag adds: a loss from 0 to 1 is so much of an error, and else none."""
    if flag in (0.0, 1.0):
        return one if flag else zero
    return flag * one + (1.0 - flag) * zero
