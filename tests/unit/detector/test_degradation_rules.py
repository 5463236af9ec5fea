"""What rules about metrics say of a cohort: each form at its boundary, on the side on which the metric is worse."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pyarrow as pa
import pytest

from services.detector.baseline import ALL, ReferenceMetric
from services.detector.baseline_build import build_baseline
from services.detector.baseline_parts import keeping_performance
from services.detector.degradation.binding import BoundDegradation, Judged, bind_degradation
from services.detector.degradation.fold import DegradationFold
from services.detector.performance.metrics import errors
from services.detector.performance.metrics.value import Metrics, Value
from services.detector.performance.tally import Tally
from services.detector.report import CohortRow
from services.detector.rules.fold import Turn
from services.detector.statistics.proportions import Z95
from services.detector.structs import decode_struct, encode_struct
from shared.degradation import DegradationSpec, read_degradation
from shared.errors import ConfigurationError
from shared.monitors import ModelSpec
from tests.kit.references import loans, spec

HALF = 0.5  # of what the reference has, so that sums are exact


def bound(
    metric: str, form: DegradationSpec, reference: float | None = HALF, error: float | None = 0.0
) -> BoundDegradation:
    tasks = {"rmse": "regression", "rmsle": "regression", "mape": "regression", "mean_error": "regression"}
    task = tasks.get(metric, "binary")
    chosen = ModelSpec(
        task="regression" if task == "regression" else "binary", reference="r.csv", degradation={metric: form}
    )
    (rule,) = read_degradation("degradation", chosen)
    return BoundDegradation(rule, {} if reference is None else {ALL: ReferenceMetric(reference, error)})


def judged(rule: BoundDegradation, value: float | None, error: float = 0.1, *, was_good: bool = False) -> Judged | None:
    metric = Value(None, note="nothing") if value is None else Value(value, value - Z95 * error, value + Z95 * error)
    return rule.judge(ALL, metric, was_good=was_good)


def is_met(rule: BoundDegradation, value: float, *, was_good: bool = False) -> bool:
    found = judged(rule, value, was_good=was_good)
    assert found is not None
    return found.is_met


@pytest.mark.parametrize(
    ("metric", "form", "limit", "bad"),
    [
        ("f1", DegradationSpec(below=0.75), 0.75, -1),
        ("f1", DegradationSpec(drop=0.125), 0.375, -1),
        ("f1", DegradationSpec(drop="25%"), 0.375, -1),
        ("rmse", DegradationSpec(above=0.75), 0.75, 1),
        ("rmse", DegradationSpec(rise=0.125), 0.625, 1),
        ("rmse", DegradationSpec(rise="25%"), 0.625, 1),
        ("mean_error", DegradationSpec(rise=0.125), 0.625, 1),
        ("mean_error", DegradationSpec(drop=0.125), 0.375, -1),
        ("mean_error", DegradationSpec(below=-2.0), -2.0, -1),
    ],
)
def test_a_limit_is_allowed_and_the_next_number_is_not(
    metric: str, form: DegradationSpec, limit: float, bad: int
) -> None:
    rule = bound(metric, form)

    assert not is_met(rule, limit)
    assert is_met(rule, math.nextafter(limit, bad * math.inf))
    assert not is_met(rule, math.nextafter(limit, -bad * math.inf))


@pytest.mark.parametrize(
    ("metric", "form", "end", "bad"),
    [
        ("f1", DegradationSpec(start=0.9, end=0.82), 0.82, -1),
        ("rmse", DegradationSpec(start=1.0, end=1.5), 1.5, 1),
    ],
)
def test_from_to_is_met_at_its_last_value_after_its_first(
    metric: str, form: DegradationSpec, end: float, bad: int
) -> None:
    rule = bound(metric, form)

    assert is_met(rule, end, was_good=True)
    assert not is_met(rule, end, was_good=False)
    assert not is_met(rule, math.nextafter(end, -bad * math.inf), was_good=True)


def test_a_chance_is_one_sided_and_of_both_standard_errors() -> None:
    worse, better = (bound(name, DegradationSpec(p_value=0.01), error=0.3) for name in ("f1", "log_loss"))
    away = NormalDist().inv_cdf(0.99) * 0.5  # the errors are 0.3 and 0.4

    found = judged(worse, HALF - away - 1e-9, 0.4)
    assert found is not None
    assert found.is_met
    assert found.p_value == pytest.approx(0.01, abs=1e-8)
    assert found.limit == pytest.approx(HALF - away)
    for rule, value, is_bad in (
        (worse, HALF - away + 1e-9, False),
        (worse, HALF + 10.0, False),
        (better, HALF + away + 1e-9, True),
        (better, HALF + away - 1e-9, False),
        (better, HALF - 10.0, False),
    ):
        said = judged(rule, value, 0.4)
        assert said is not None
        assert said.is_met is is_bad


def test_a_metric_about_0_may_move_away_on_both_sides_and_has_half_the_chance_on_each() -> None:
    rule = bound("mean_error", DegradationSpec(p_value=0.02), reference=0.0, error=0.0)
    away = NormalDist().inv_cdf(0.99)

    found = [judged(rule, side * (away + near), 1.0) for side in (-1, 1) for near in (1e-6, -1e-6)]

    assert [one is not None and one.is_met for one in found] == [True, False, True, False]


@pytest.mark.parametrize("form", [DegradationSpec(drop=0.1), DegradationSpec(drop="1%"), DegradationSpec(p_value=0.1)])
def test_without_a_reference_nothing_is_compared_with_it(form: DegradationSpec) -> None:
    assert judged(bound("f1", form, reference=None), 0.0) is None


@pytest.mark.parametrize(
    "form",
    [
        DegradationSpec(below=0.9),
        DegradationSpec(drop=0.1),
        DegradationSpec(drop="1%"),
        DegradationSpec(start=0.9, end=0.8),
        DegradationSpec(p_value=0.1),
    ],
)
def test_a_metric_that_is_not_defined_never_fires(form: DegradationSpec) -> None:
    assert judged(bound("f1", form), None, was_good=True) is None


def cohort(metrics: Metrics, number: int = 0, *, labelled: int = 1_000, segment: str = ALL) -> CohortRow:
    return CohortRow(
        model="m",
        model_version="v1",
        segment=segment,
        cohort_start_row=1_000 * number,
        cohort_end_row=1_000 * number + 999,
        n_predicted=1_000,
        n_labelled=labelled,
        coverage=labelled / 1_000,
        state="final",
        metrics=metrics,
    )


def told(rule: BoundDegradation, values: list[float | None], labelled: list[int] | None = None) -> list[str]:
    """Return what each cohort did."""
    fold = DegradationFold([rule], [ALL])
    found: list[str] = []
    for number, value in enumerate(values):
        metrics = {rule.rule.metric: Value(value)}
        row = cohort(metrics, number, labelled=1_000 if labelled is None else labelled[number])
        found += [one.turn.value for one in fold.take(row, row.cohort_start_row)] or ["-"]
        state = decode_struct(encode_struct(fold.state), type(fold.state))
        fold = DegradationFold([rule], [ALL])
        fold.state = state
    return found


def test_a_rule_for_so_many_cohorts_waits_for_them_in_a_row() -> None:
    rule = bound("f1", DegradationSpec(below=0.5, lasts="3 cohorts"))

    assert told(rule, [0.4, 0.4, 0.6, 0.4, 0.4, 0.4]) == ["-", "-", "-", "-", "-", Turn.FIRED.value]
    assert told(rule, [0.4, 0.4, None, 0.4]) == ["-", "-", "-", Turn.FIRED.value]


def test_a_rule_that_fired_is_well_after_three_good_cohorts() -> None:
    rule = bound("f1", DegradationSpec(below=0.5))

    assert told(rule, [0.4, 0.6, 0.6, 0.4, 0.6, 0.6, 0.6]) == ["fired", "-", "-", "holds", "-", "-", "cleared"]


def test_from_to_waits_for_its_first_value_in_the_reference_or_in_a_cohort() -> None:
    form = DegradationSpec(start=0.9, end=0.8)

    assert told(bound("f1", form, reference=0.9), [0.8]) == ["fired"]
    assert told(bound("f1", form, reference=0.85), [0.8, 0.89, 0.9, 0.81, 0.8]) == ["-", "-", "-", "-", "fired"]


def test_a_cohort_with_fewer_than_half_of_the_usual_labels_changes_nothing() -> None:
    rule = bound("f1", DegradationSpec(below=0.5))

    assert told(rule, [0.6, 0.4, 0.4], [1_000, 499, 500]) == ["-", "-", "fired"]


def test_segments_are_judged_each_on_its_own_where_a_rule_says_so() -> None:
    alone, all_of_them = (bound("f1", DegradationSpec(below=0.5, segments=chosen)) for chosen in (False, True))
    fold = DegradationFold([alone, all_of_them], [ALL, "s=a"])

    found = fold.take(cohort({"f1": Value(0.4)}, segment="s=a"), 0)
    new = fold.take(cohort({"f1": Value(0.4)}, segment="s=b"), 0)

    assert [(one.rule, one.turn) for one in (*found, *new)] == [(1, Turn.FIRED), (1, Turn.FIRED)]
    assert fold.forget("s=b") == []
    assert fold.forget("s=a") == [1]


def regression(labels: list[float], predictions: list[float]) -> Metrics:
    sums = errors.addends(np.array(labels), np.array(predictions)).sum(axis=0)
    return Tally("regression", ()).metrics(np.array([len(labels)]), sums)


def test_rmse_may_fall_while_rmsle_rises() -> None:
    before = regression([0.0, 100.0], [0.0, 110.0])
    after = regression([0.0, 100.0], [5.0, 105.0])
    rules = {name: bound(name, DegradationSpec(rise="10%"), reference=before[name].value) for name in ("rmse", "rmsle")}

    found = {name: rule.judge(ALL, after[name], was_good=False) for name, rule in rules.items()}

    assert {name: one is not None and one.is_met for name, one in found.items()} == {"rmse": False, "rmsle": True}


def test_labels_of_0_alone_have_no_mape_and_negatives_no_rmsle() -> None:
    metrics = regression([0.0, 0.0], [1.0, -2.0])

    for name in ("mape", "rmsle"):
        assert metrics[name].value is None
        assert metrics[name].note
        assert bound(name, DegradationSpec(above=0.0)).judge(ALL, metrics[name], was_good=False) is None


def test_a_cohort_of_one_class_has_no_recall_and_no_area() -> None:
    tally = Tally("binary", ("0", "1"), 1)
    metrics = tally.metrics(np.array([900, 100, 0, 0, 0, 0]), np.zeros(len(tally.sums)))
    metrics |= tally.areas([(np.array([900, 100]), np.array([0, 0]), False)])

    assert metrics["accuracy"].value == 0.9
    for name in ("recall", "roc_auc", "average_precision"):
        assert bound(name, DegradationSpec(below=0.99)).judge(ALL, metrics[name], was_good=False) is None


def test_a_cohort_without_labels_fires_nothing() -> None:
    tally = Tally("binary", ("0", "1"), 1)
    metrics = tally.metrics(np.zeros(6, np.int64), np.zeros(len(tally.sums)))
    rule = bound("accuracy", DegradationSpec(below=0.99))

    assert DegradationFold([rule], [ALL]).take(cohort(metrics, labelled=0), 0) == []


def with_rules(**rules: DegradationSpec) -> ModelSpec:
    return spec(segments=["channel"], degradation=rules)


def test_a_rule_compares_with_the_reference_of_its_own_segment() -> None:
    chosen = with_rules(f1=DegradationSpec(drop=0.1, segments=True))
    table = loans(6_000)
    baseline = build_baseline("loans", chosen, table)

    (rule,) = bind_degradation("loans", chosen, baseline)

    web = np.array(table["seg_channel"].to_pylist()) == "web"
    label, answer = (table[name].to_numpy()[web] == 1 for name in ("label", "prediction"))
    expected = 2 * (label & answer).sum() / (label.sum() + answer.sum())
    assert set(rule.reference) > {ALL, "channel=web"}
    assert rule.reference["channel=web"].value == pytest.approx(expected, rel=1e-9)


def test_an_accepted_drift_with_other_segments_leaves_each_segment_its_own_reference() -> None:
    chosen = with_rules(f1=DegradationSpec(drop=0.1, segments=True))
    table = loans(6_000)
    channel = table["seg_channel"].to_pylist()
    renamed = pa.array(["a first one" if name == "branch" else name for name in channel])
    before = build_baseline("loans", chosen, table)
    other = table.set_column(table.column_names.index("seg_channel"), "seg_channel", renamed)
    after = build_baseline("loans", chosen, other)

    (was,), (now,) = (
        bind_degradation("loans", chosen, baseline) for baseline in (before, keeping_performance(before, after))
    )

    assert before.cells != after.cells
    assert now.reference["channel=web"] == was.reference["channel=web"]
    assert "channel=a first one" not in now.reference


@pytest.mark.parametrize("form", [DegradationSpec(drop=0.1), DegradationSpec(p_value=0.01)])
def test_a_reference_without_labels_is_refused_for_a_rule_that_compares_with_it(form: DegradationSpec) -> None:
    chosen = with_rules(f1=form)
    baseline = build_baseline("loans", chosen, loans(3_000).drop_columns(["label"]))

    with pytest.raises(ConfigurationError, match=r"models\.loans\.degradation\.f1: .*the reference has no f1"):
        bind_degradation("loans", chosen, baseline)


def test_a_reference_without_labels_serves_a_rule_that_says_a_number() -> None:
    chosen = with_rules(f1=DegradationSpec(below=0.8))

    (rule,) = bind_degradation("loans", chosen, build_baseline("loans", chosen, loans(3_000).drop_columns(["label"])))

    assert rule.reference == {}
