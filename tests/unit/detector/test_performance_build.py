from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.baseline import ErrorMonitor, ReferencePerformance
from services.detector.baseline_build import build_baseline
from tests.kit import shipped
from tests.kit.references import hours, loans, spec


def performance(table: pa.Table, **changes: object) -> ReferencePerformance:
    found = build_baseline("m", spec(**changes), table).performance
    assert found is not None
    return found


def by_name(found: ReferencePerformance) -> dict[str, ErrorMonitor]:
    return {monitor.name: monitor for monitor in found.monitors}


def clustered(rows: int, quiet: float, loud: float) -> pa.Table:
    """Return a reference whose errors come in stretches of 500 rows."""
    rng = np.random.default_rng(9)
    rate = np.where(np.arange(rows) // 500 % 2 == 0, quiet, loud)
    wrong = rng.random(rows) < rate
    label = rng.integers(0, 2, rows)
    return pa.table({"ts": hours(rows), "prediction": np.where(wrong, 1 - label, label), "label": label})


def test_rates_are_those_of_the_rows_where_they_are_defined() -> None:
    label = [1] * 600 + [0] * 400
    prediction = [0] * 60 + [1] * 540 + [1] * 20 + [0] * 380
    order = np.random.default_rng(2).permutation(1_000)
    table = pa.table({"ts": hours(1_000), "prediction": np.array(prediction)[order], "label": np.array(label)[order]})

    found = performance(table)

    assert found.accuracy == pytest.approx(0.92)
    assert [(m.name, m.rows) for m in found.monitors] == [
        ("error", 1_000),
        ("false_negative", 600),
        ("false_positive", 400),
    ]
    assert [m.rate for m in found.monitors] == pytest.approx([0.08, 0.1, 0.05])


def test_a_null_rate_leaves_two_standard_errors_and_keeps_the_reference_quiet() -> None:
    found = by_name(performance(loans(20_000)))["error"]

    assert found.p0 == pytest.approx(found.rate + 2 * np.sqrt(0.09 / 20_000), rel=0.01)
    assert found.reason == ""


def test_clustered_errors_buy_a_quiet_monitor_with_a_higher_threshold() -> None:
    found = by_name(performance(clustered(20_000, 0.09, 0.12)))["error"]
    calm = by_name(performance(loans(20_000)))["error"]

    assert found.reason == ""
    assert found.p0 <= 1.25 * found.rate
    assert found.threshold >= calm.threshold


def test_errors_that_come_in_heaps_are_unsteady() -> None:
    found = by_name(performance(clustered(20_000, 0.02, 0.3)))["error"]

    assert found.reason.startswith("unsteady: no alarm on the reference only from a rate of")


def test_a_monitor_does_not_alarm_on_the_reference_that_it_came_from() -> None:
    table = clustered(20_000, 0.09, 0.12)
    found = by_name(performance(table))["error"]
    flags = (np.array(table["prediction"]) != np.array(table["label"])).astype(float)

    bank = BernoulliCusumBank.for_increase(np.array([found.p0]), np.array([found.threshold]))

    assert len(bank.update(flags[:, None])) == 0


def test_few_labels_do_not_fix_a_rate() -> None:
    few = by_name(performance(loans(150)))
    rare = by_name(performance(loans(2_000, error_rate=0.01)))

    assert few["error"].reason == "reference is thin (150 such labels; needs 200)"
    assert "errors do not fix the rate to within a quarter" in rare["error"].reason


def test_a_class_without_reference_labels_has_no_rate() -> None:
    table = pa.table({"ts": hours(400), "prediction": [1, 0] * 200, "label": [1] * 400})

    found = by_name(performance(table))["false_positive"]

    assert (found.rows, found.reason) == (0, "the reference has no such labels")


def test_a_regression_is_measured_by_the_size_and_the_sign_of_its_errors() -> None:
    rng = np.random.default_rng(4)
    label = rng.normal(50, 10, 10_000)
    prediction = label + rng.normal(0.5, 2, 10_000)

    found = performance(
        pa.table({"ts": hours(10_000), "prediction": prediction, "label": label}),
        task="regression",
        positive_class=None,
    )

    assert found.mae == pytest.approx(np.abs(prediction - label).mean())
    assert found.rmse == pytest.approx(np.sqrt(((prediction - label) ** 2).mean()))
    assert found.mean_error == pytest.approx((prediction - label).mean())
    assert found.high_error == pytest.approx(np.quantile(np.abs(prediction - label), 0.9))
    assert [(m.name, m.reason) for m in found.monitors] == [("abs_error_high", "")]
    assert found.monitors[0].rate == pytest.approx(0.1)
    assert found.residual is not None
    assert (found.residual.bins, found.residual_reason) == (10, "")


def test_without_labels_or_predictions_there_is_no_performance() -> None:
    for column in ("label", "prediction"):
        assert build_baseline("loans", spec(), loans(500).drop([column])).performance is None


@pytest.mark.parametrize("name", ["car_loan", "sea_abrupt"])
def test_reference_performance_equals_the_oracle(name: str) -> None:
    found, expected = shipped.baseline(name).performance, shipped.oracle(name)["reference_performance"]
    assert found is not None
    negatives, false_positives, false_negatives, positives = expected["tn_fp_fn_tp"]

    monitors = by_name(found)

    assert found.accuracy == pytest.approx(expected["accuracy"], abs=1e-12)
    assert monitors["false_negative"].rate == pytest.approx(false_negatives / (false_negatives + positives))
    assert monitors["false_positive"].rate == pytest.approx(false_positives / (false_positives + negatives))
    assert [m.reason for m in found.monitors] == ["", "", ""]


def test_the_seasonal_sets_large_errors_are_watched_and_its_sign_is_not() -> None:
    found, expected = shipped.baseline("bikes").performance, shipped.oracle("bikes")["reference_performance"]
    assert found is not None

    assert [found.mae, found.rmse] == pytest.approx([expected["mae"], expected["rmse"]])
    assert found.mean_error == pytest.approx(expected["bias"])
    assert found.monitors[0].p0 == pytest.approx(0.12, abs=0.005)
    assert found.monitors[0].reason == ""
    assert found.residual_reason == "unsteady: alarms on the reference itself"
