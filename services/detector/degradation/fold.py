"""Rules about metrics as a fold over final cohorts: which segment fires, which still does, which is well again.

A cohort with fewer than half of the usual share of labels is no sample of its predictions, and changes nothing; nor
does one in which the metric is not defined.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from services.detector.degradation.binding import BoundDegradation, Judged
from services.detector.performance.label_delays import LEAST_SHARE, MEMORY
from services.detector.performance.metrics.value import undefined
from services.detector.report import CohortRow
from services.detector.rules.fold import Standing, Turn, turn

NO_METRIC = undefined("the model has none")  # of a class that another reference has


class Usual(msgspec.Struct):
    """How many predictions of a segment have had labels; beyond `MEMORY`, what is older counts half."""

    labelled: int = 0
    predicted: int = 0

    def take(self, row: CohortRow) -> bool:
        """Take a final cohort; tell whether it has at least half of the labels that were usual before it."""
        is_covered = row.coverage * self.predicted >= LEAST_SHARE * self.labelled
        if self.predicted >= MEMORY:
            self.labelled, self.predicted = self.labelled // 2, self.predicted // 2
        self.labelled += row.n_labelled
        self.predicted += row.n_predicted
        return is_covered


class DegradationState(msgspec.Struct):
    """What is kept of all rules."""

    usual: dict[str, Usual]  # by segment
    standings: list[dict[str, Standing]]  # by rule, then by segment
    was_good: list[list[str]]  # by rule, the segments that have had the first value of one from a value to another


@dataclass(frozen=True, slots=True)
class Fallen:
    """One segment of one rule, after a cohort."""

    rule: int  # place among the rules
    turn: Turn
    judged: Judged
    since: int  # the model's served row from which the rule has been met; when cleared, not been met


class DegradationFold:
    """The rules of one model version."""

    def __init__(self, rules: Sequence[BoundDegradation], segments: Sequence[str]) -> None:
        """Begin with the segments of the baseline, so that what is kept of them is known beforehand."""
        self._rules = rules
        watched = [[name for name in segments if bound.watches(name)] for bound in rules]
        self.state = DegradationState(
            {name: Usual() for name in segments if any(bound.watches(name) for bound in rules)},
            [{name: Standing() for name in names} for names in watched],
            [[name for name in names if bound.was_good(name)] for bound, names in zip(rules, watched, strict=True)],
        )

    def watches(self, segment: str) -> bool:
        """Tell whether any rule looks at a segment."""
        return any(bound.watches(segment) for bound in self._rules)

    def take(self, row: CohortRow, first_row: int) -> list[Fallen]:
        """Take one final cohort, which began at the served row `first_row`; return what it did, in rule order."""
        if not self.watches(row.segment) or not self.state.usual.setdefault(row.segment, Usual()).take(row):
            return []
        found: list[Fallen] = []
        for place, bound in enumerate(self._rules):
            if not bound.watches(row.segment):
                continue
            good = self.state.was_good[place]
            judged = bound.judge(
                row.segment, row.metrics.get(bound.rule.column, NO_METRIC), was_good=row.segment in good
            )
            if judged is None:
                continue
            if row.segment not in good and bound.is_good(judged.value):
                good.append(row.segment)
            standing = self.state.standings[place].setdefault(row.segment, Standing())
            turned = turn(standing, first_row, bound.rule.cohorts, is_met=judged.is_met)
            if turned is not None:
                found.append(Fallen(place, turned, judged, standing.since))
        return found

    def is_firing(self, rule: int) -> bool:
        """Tell whether any segment of a rule has fired and is not well again."""
        return any(standing.fired for standing in self.state.standings[rule].values())

    def forget(self, segment: str) -> list[int]:
        """Take that a segment is gone; return the rules that fired for it alone."""
        self.state.usual.pop(segment, None)
        alone: list[int] = []
        for place, standings in enumerate(self.state.standings):
            gone = standings.pop(segment, None)
            if segment in self.state.was_good[place]:
                self.state.was_good[place].remove(segment)
            if gone is not None and gone.fired and not self.is_firing(place):
                alone.append(place)
        return alone
