"""Which share of predictions has its label by an age, and whether that is less than is usual for the model.

Predictions are taken in cohorts of an hour or more, and each is looked at when it is an hour old, two, four, and so on.
A cohort is compared with the earlier ones at the same age, so that labels may take as long as they do: what comes late
is no loss, and what comes in batches is known by how much the shares vary. All times are witnessed ones, see arrivals.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from shared.durations import UNITS_MS

COHORT_ROWS = 1_000
COHORT_MS = UNITS_MS["h"]
AGES_MS = [COHORT_MS << doubled for doubled in range(11)]  # up to 43 days: so a model has at most 1,025 cohorts
LEARNT_MS = UNITS_MS["w"]  # nothing is told of before: a weekend is no loss
LEARNT_COHORTS = 48
MEMORY = 336  # cohorts of a fortnight: a change that lasts becomes what is usual
USUAL_SHARE = 0.02  # under it a fall says nothing
FALL = 0.5  # of the usual share
DEVIATIONS = 4.0


class Cohort(msgspec.Struct, array_like=True):
    """Predictions that came one after another."""

    began: int
    rows: int = 0
    labelled: int = 0
    closed: int | None = None  # when the last one came
    looked: int = 0  # at how many ages it was looked at
    is_short: bool = False  # it had too few at one of them, which is told of once


class Usual(msgspec.Struct, array_like=True):
    """Shares of the cohorts at one age, the newer ones weighing more."""

    cohorts: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def learn(self, share: float) -> None:
        """Take one more."""
        self.cohorts = min(self.cohorts + 1, MEMORY)
        off = share - self.mean
        self.mean += off / self.cohorts
        self.variance += (off * (share - self.mean) - self.variance) / self.cohorts

    def least(self, rows: int) -> float:
        """Return the share of so many rows that is not told of; 0 while too little is known."""
        if self.cohorts < LEARNT_COHORTS or self.mean < USUAL_SHARE:
            return 0.0
        deviation = math.sqrt(max(self.variance, self.mean * (1.0 - self.mean) / rows))
        return max(0.0, min(FALL * self.mean, self.mean - DEVIATIONS * deviation))


class Shortfall(NamedTuple):
    """A cohort has fewer labels than is usual at its age."""

    age_ms: int
    rows: int
    share: float
    least: float
    usual: float


class Labelling(msgspec.Struct):
    """The cohorts of one model, over all of its versions."""

    began: int | None = None
    first: int = 0  # number of the first cohort that is kept
    cohorts: list[Cohort] = []
    ends: dict[int, list[int]] = {}  # shard to the last seq of each of its cohorts, and their numbers
    numbers: dict[int, list[int]] = {}
    usual: list[Usual] = msgspec.field(default_factory=lambda: [Usual() for _ in AGES_MS])
    short: list[int] = []  # ages at which the last cohort had too few

    def serve(self, shard: int, seq: int, rows: int, witnessed: int) -> None:
        """Take a block of predictions."""
        self.began = witnessed if self.began is None else self.began
        if not self.cohorts or self.cohorts[-1].closed is not None:
            self.cohorts.append(Cohort(witnessed))
        cohort, number = self.cohorts[-1], self.first + len(self.cohorts) - 1
        cohort.rows += rows
        ends, numbers = self.ends.setdefault(shard, []), self.numbers.setdefault(shard, [])
        if numbers and numbers[-1] == number:
            ends[-1] = seq
        else:
            ends.append(seq)
            numbers.append(number)
        if cohort.rows >= COHORT_ROWS and witnessed - cohort.began >= COHORT_MS:
            cohort.closed = witnessed

    def label(self, shard: int, served: Sequence[tuple[int, int]]) -> None:
        """Take labels of predictions: the seq of each block that these were in, and how many."""
        ends, numbers = self.ends.get(shard, []), self.numbers.get(shard, [])
        for seq, rows in served:
            at = bisect_left(ends, seq)
            if at < len(ends) and numbers[at] >= self.first:  # else it is of a cohort that is too old to look at
                self.cohorts[numbers[at] - self.first].labelled += rows

    def look(self, witnessed: int) -> Iterator[Shortfall | None]:
        """Look at the cohorts whose time has come; yield who falls short, and None where the last one is over."""
        for cohort in self.cohorts:
            while (
                cohort.closed is not None
                and cohort.looked < len(AGES_MS)
                and witnessed - cohort.closed >= AGES_MS[cohort.looked]
            ):
                yield from self._judge(cohort, cohort.looked, witnessed)
                cohort.looked += 1
        while self.cohorts and self.cohorts[0].looked == len(AGES_MS):
            self.cohorts.pop(0)
            self.first += 1
            self._forget()

    def _judge(self, cohort: Cohort, age: int, witnessed: int) -> Iterator[Shortfall | None]:
        share, usual = cohort.labelled / cohort.rows, self.usual[age]
        is_learnt = self.began is not None and witnessed - self.began >= LEARNT_MS + AGES_MS[age]
        least = usual.least(cohort.rows) if is_learnt else 0.0
        if share < least:
            if not cohort.is_short:
                cohort.is_short = True
                self.short += [age] if age not in self.short else []
                yield Shortfall(AGES_MS[age], cohort.rows, share, least, usual.mean)
        elif age in self.short:
            self.short.remove(age)
            if not self.short:
                yield None
        usual.learn(share)

    def _forget(self) -> None:
        """Forget what lies before the first cohort."""
        for shard, numbers in self.numbers.items():
            gone = bisect_left(numbers, self.first) - 1  # the one before bounds the first
            if gone > 0:
                del numbers[:gone], self.ends[shard][:gone]
