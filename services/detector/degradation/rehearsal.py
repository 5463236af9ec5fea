"""Rules about metrics on the reference's own cohorts: how often each would have fired where nothing was wrong."""

from __future__ import annotations

from services.detector.baseline import Baseline, window_rows
from services.detector.degradation.binding import bind_degradation
from services.detector.degradation.fold import NO_METRIC, DegradationFold
from services.detector.performance.accuracy_drop import AccuracyRule, RecentAccuracy
from services.detector.performance.reference_cohorts import reference_cohorts
from services.detector.reference_batches import a_month, labelled_batches
from services.detector.reference_table import ReferenceTable
from services.detector.rules.fold import Turn
from services.detector.rules.rehearsal import Rehearsal
from services.detector.signals.labelled import class_codes, class_flags
from services.detector.signals.monitored import ERROR
from shared.degradation import DegradationRule, read_degradation
from shared.events.block import LABEL, PREDICTION
from shared.monitors import ModelSpec


def rehearse_degradation(spec: ModelSpec, baseline: Baseline, reference: ReferenceTable) -> list[Rehearsal]:
    """Return what each rule would have done on the reference that the baseline is of, in their order.

    Raises:
        ConfigurationError: one compares with what the reference does not have.
    """
    rules = read_degradation(f"models.{baseline.model}.degradation", spec)
    of_cohorts = iter(_of_cohorts(spec, baseline, reference))
    found = [_of_labels(rule, baseline, reference) if rule.heard_at_once else next(of_cohorts) for rule in rules]
    for rehearsal in found:
        rehearsal.fired_a_month = a_month(rehearsal.fired, baseline, baseline.rows)
    return found


def _of_cohorts(spec: ModelSpec, baseline: Baseline, reference: ReferenceTable) -> list[Rehearsal]:
    rules = bind_degradation(baseline.model, spec, baseline)
    found = [_begun(bound.rule, "cohort") for bound in rules]
    if not rules:
        return found
    fold = DegradationFold(rules, baseline.cells)
    sizes = [window_rows(cell) for cell in range(len(baseline.cells))]
    for row in reference_cohorts(baseline, spec.quantile, reference, sizes, spec.cost):
        for bound, rehearsal in zip(rules, found, strict=True):
            was_good = bound.was_good(row.segment)
            if bound.watches(row.segment):
                judged = bound.judge(row.segment, row.metrics.get(bound.rule.column, NO_METRIC), was_good=was_good)
                rehearsal.windows += judged is not None
                rehearsal.met += judged is not None and judged.is_met
        before = [fold.is_firing(place) for place in range(len(rules))]
        for fallen in fold.take(row, row.cohort_start_row):
            found[fallen.rule].fired += fallen.turn is Turn.FIRED
            found[fallen.rule].incidents += fallen.turn is Turn.FIRED and not before[fallen.rule]
    return found


def _of_labels(rule: DegradationRule, baseline: Baseline, reference: ReferenceTable) -> Rehearsal:
    """Return what the rule on the last labels would have done; looks in a row that met it fired once."""
    found = _begun(rule, "look")
    performance = baseline.performance
    if performance is None:
        return found
    limit = AccuracyRule(rule.number, performance.accuracy, performance.rows).threshold
    recent, was_met = RecentAccuracy(), False
    for batch in labelled_batches(reference):
        codes = class_codes(baseline.classes, (batch.column(PREDICTION), batch.column(LABEL)))
        _, accuracies = recent.update(class_flags([ERROR], baseline.classes, baseline.positive, *codes)[:, 0])
        for is_met in (accuracies < limit).tolist():
            found.windows += 1
            found.met += is_met
            found.fired += is_met and not was_met
            was_met = is_met
    found.incidents = found.fired
    return found


def _begun(rule: DegradationRule, looks_at: str) -> Rehearsal:
    return Rehearsal(rule=rule.text, severity=rule.severity, looks_at=looks_at)
