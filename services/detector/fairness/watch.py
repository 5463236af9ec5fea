"""Fairness of one model version: final cohorts of protected segments in, how unequal they are and incidents out.

The newest final cohort of each group is compared with that of every other, so that a rare group has as many predictions
as a large one; only that one is kept.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from services.detector.baseline import ALL, Baseline
from services.detector.fairness.metrics import KINDS, Counts, fairness, rates
from services.detector.incidents.rules import RuleIncidents
from services.detector.performance.metrics.value import Metrics
from services.detector.report import FairnessRow, Group
from services.detector.rules.fold import Standing, Turn, turn
from services.detector.rules.watch import DETECTOR, Changed, Moment
from services.detector.structs import IntArray
from shared.events.alert import Bin, Culprit, IncidentKind, Severity
from shared.fairness import FairnessRule, FairnessSpec, fairness_rules
from shared.values import MISSING_LEVEL, OTHER_LEVEL

MAX_GROUPS = 32  # of a dimension; the ones that came first


class _Rule:
    """A rule as an incident tells of it."""

    severity = Severity.WARNING

    def __init__(self, rule: FairnessRule) -> None:
        self.text = rule.text


class FairnessState(msgspec.Struct):
    """What is kept."""

    groups: dict[str, dict[str, Group]]  # by dimension, then by value
    standings: list[Standing]  # by rule
    incidents: RuleIncidents


class FairnessWatch:
    """Compares the groups of each protected dimension whenever one has a cohort that gets no more labels."""

    def __init__(self, spec: FairnessSpec | None, baseline: Baseline) -> None:
        self._spec, self._classes = spec, len(baseline.classes)
        self._positive = baseline.classes.index(baseline.positive) if baseline.positive in baseline.classes else -1
        self._rules = fairness_rules(spec)
        self._protected = () if spec is None else tuple(spec.protected)
        self.metrics: dict[str, Metrics] = {}  # by dimension, since the process began
        standings = [Standing() for _ in self._rules]
        self.state = FairnessState({name: {} for name in self._protected}, standings, RuleIncidents())

    @property
    def incidents(self) -> RuleIncidents:
        """Return what is open."""
        return self.state.incidents

    @property
    def groups(self) -> dict[str, int]:
        """Return how many groups each dimension has."""
        return {dimension: len(groups) for dimension, groups in self.state.groups.items()}

    def dimension_of(self, segment: str) -> str | None:
        """Return the protected dimension of which a segment is one value; pools and missing values are no group."""
        dimension, _, value = segment.partition("=")
        is_group = dimension in self._protected and value not in (OTHER_LEVEL, MISSING_LEVEL)
        return dimension if is_group and "," not in value else None

    def final(
        self, named: tuple[str, str], segment: str, cohort: tuple[IntArray, tuple[int, int]], first_row: int
    ) -> FairnessRow | None:
        """Take a final cohort; return how its dimension stands, None where it is of no protected one.

        named: model and version. cohort: its confusion matrix, as a tally has it, and its rows of the segment.
        first_row: the model's served row at which it began.
        """
        dimension = self.dimension_of(segment)
        if dimension is None or self._spec is None:
            return None
        groups = self.state.groups[dimension]
        if segment not in groups and len(groups) >= MAX_GROUPS:
            return None
        groups[segment] = Group(*cohort[1], *self._four(cohort[0]))
        metrics = fairness(_counts(groups), self._spec.min_count)
        self.metrics[dimension] = metrics
        return FairnessRow(
            model=named[0],
            model_version=named[1],
            dimension=dimension,
            served_row=first_row,
            groups=dict(groups),
            metrics=metrics,
        )

    def _four(self, counts: IntArray) -> Counts:
        matrix, at = counts.reshape(self._classes, -1), self._positive
        tp = int(matrix[at, at])
        fn, fp = int(matrix[at].sum()) - tp, int(matrix[:, at].sum()) - tp
        return Counts(int(matrix.sum()) - tp - fn - fp, fp, fn, tp)

    def judge(self, row: FairnessRow, moment: Moment) -> list[Changed]:
        """Take what a cohort said; return changes of incidents, in rule order.

        A limit is crossed where the whole interval is beyond it.
        """
        changes: list[Changed | None] = []
        for place, rule in enumerate(self._rules):
            value = row.metrics[rule.metric]
            if rule.dimension != row.dimension or value.low is None or value.high is None:
                continue
            is_met = value.low > rule.limit if rule.is_difference else value.high < rule.limit
            standing = self.state.standings[place]
            turned = turn(standing, row.served_row, 1, is_met=is_met)
            if turned is Turn.CLEARED:
                changes.append(self.incidents.resolve(place))
            elif turned is not None:
                changes.append(
                    self.incidents.fire(
                        place,
                        _Rule(rule),
                        moment.incident_id(f"fairness {rule.text}"),
                        [self._culprit(rule, row, standing.since, moment.row)],
                        moment.place(standing.since),
                        moment.place(moment.row),
                        [IncidentKind.PERFORMANCE_DEGRADATION],
                    )
                )
        return [change for change in changes if change is not None]

    def _culprit(self, rule: FairnessRule, row: FairnessRow, since: int, at: int) -> Culprit:
        value = row.metrics[rule.metric]
        return Culprit(
            feature=f"{rule.metric}({row.dimension})",
            segment=ALL,
            detector=DETECTOR,
            statistic=rule.metric,
            value=value.value or 0.0,
            noise_floor=value.error or 0.0,
            threshold=rule.limit,
            p_value=None,
            window_rows=sum(sum(one) for one in _counts(row.groups).values()),
            window_start_row=row.served_row,
            window_end_row=max(at, row.served_row),
            onset_row=since,
            bins=self._bins(rule, row),
        )

    def _bins(self, rule: FairnessRule, row: FairnessRow) -> list[Bin]:
        """Return the rates that are compared: `count` of `reference_count` events of each group."""
        least = 1 if self._spec is None else self._spec.min_count
        kinds = KINDS[rule.metric.rpartition("_")[0]]
        return [
            Bin(
                name=f"{kind.name} {rate.group}",
                count=rate.part,
                reference_count=rate.whole,
                contribution=rate.part / rate.whole,
            )
            for kind in kinds
            for rate in rates(_counts(row.groups), kind, least)
        ]

    def gone(self, segment: str) -> None:
        """Take that a segment has no cohorts any longer."""
        for groups in self.state.groups.values():
            groups.pop(segment, None)


def _counts(groups: Mapping[str, Group]) -> dict[str, Counts]:
    return {name: Counts(group.tn, group.fp, group.fn, group.tp) for name, group in groups.items()}
