"""Metrics from sums equal scikit-learn's from rows."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from services.detector.performance.tally import SCORE_CLIP, Metrics, Tally
from services.detector.structs import FloatArray

BINARY = Tally("binary", ("no", "yes"), positive=1)
MULTICLASS = Tally("multiclass", ("a", "b", "c"))
REGRESSION = Tally("regression", ())
NO_SCORES = np.full(0, np.nan)


def tallied(tally: Tally, label: FloatArray, prediction: FloatArray, score: FloatArray | None = None) -> Metrics:
    """Return the metrics of these rows, added one by one."""
    index, addends = tally.contributions(label, prediction, np.full(len(label), np.nan) if score is None else score)
    counts = np.bincount(index[index >= 0], minlength=tally.counts)
    return tally.metrics(counts, addends[index >= 0].sum(axis=0))


def codes(*values: float) -> FloatArray:
    return np.array(values, np.float64)


@pytest.mark.parametrize("seed", range(5))
def test_binary_metrics_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label, prediction = (rng.integers(0, 2, 500).astype(np.float64) for _ in range(2))
    score = rng.random(500)
    score[:3] = [0.0, 1.0, 1.0]

    found = tallied(BINARY, label, prediction, score)

    tn, fp, fn, tp = metrics.confusion_matrix(label, prediction).ravel()
    clipped = np.clip(score, SCORE_CLIP, 1 - SCORE_CLIP)
    assert found == {
        name: pytest.approx(value, rel=1e-12, abs=1e-12)
        for name, value in {
            "accuracy": metrics.accuracy_score(label, prediction),
            "precision": metrics.precision_score(label, prediction),
            "recall": metrics.recall_score(label, prediction),
            "f1": metrics.f1_score(label, prediction),
            "specificity": metrics.recall_score(label, prediction, pos_label=0),
            "balanced_accuracy": metrics.balanced_accuracy_score(label, prediction),
            "mcc": metrics.matthews_corrcoef(label, prediction),
            "fpr": fp / (fp + tn),
            "fnr": fn / (fn + tp),
            "log_loss": metrics.log_loss(label, clipped),
            "brier": metrics.brier_score_loss(label, score),
            "tn": tn,
            "fp": fp,
            "fn": fn,
            "tp": tp,
        }.items()
    }


@pytest.mark.parametrize("seed", range(5))
def test_multiclass_metrics_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label, prediction = (rng.integers(0, 3, 400).astype(np.float64) for _ in range(2))

    assert tallied(MULTICLASS, label, prediction) == {
        "accuracy": pytest.approx(metrics.accuracy_score(label, prediction), rel=1e-12),
        "precision_macro": pytest.approx(metrics.precision_score(label, prediction, average="macro"), rel=1e-12),
        "recall_macro": pytest.approx(metrics.recall_score(label, prediction, average="macro"), rel=1e-12),
        "f1_macro": pytest.approx(metrics.f1_score(label, prediction, average="macro"), rel=1e-12),
    }


@pytest.mark.parametrize("seed", range(5))
def test_regression_metrics_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = rng.normal(50, 20, 300)
    prediction = label + rng.normal(2, 5, 300)

    assert tallied(REGRESSION, label, prediction) == {
        "mae": pytest.approx(metrics.mean_absolute_error(label, prediction), rel=1e-12),
        "mse": pytest.approx(metrics.mean_squared_error(label, prediction), rel=1e-12),
        "rmse": pytest.approx(metrics.root_mean_squared_error(label, prediction), rel=1e-12),
        "mean_error": pytest.approx(float(np.mean(prediction - label)), rel=1e-12),
        "r2": pytest.approx(metrics.r2_score(label, prediction), rel=1e-12),
    }


@pytest.mark.parametrize("tally", [BINARY, MULTICLASS, REGRESSION], ids=lambda tally: tally.task)
def test_without_labels_there_is_no_metric(tally: Tally) -> None:
    found = tallied(tally, codes(), codes(), codes())

    counted = {"tn", "fp", "fn", "tp"}
    assert {value for name, value in found.items() if name not in counted} == {None}


def test_a_metric_without_a_denominator_is_missing() -> None:
    found = tallied(BINARY, codes(0, 0), codes(0, 0), codes(0.1, 0.2))

    missing = {name for name, value in found.items() if value is None}
    assert missing == {"precision", "recall", "f1", "balanced_accuracy", "mcc", "fnr"}
    assert (found["accuracy"], found["specificity"], found["fpr"]) == (1.0, 1.0, 0.0)


def test_a_constant_label_has_no_r2() -> None:
    assert tallied(REGRESSION, codes(3, 3), codes(3, 4))["r2"] is None


def test_a_class_that_nobody_predicted_leaves_no_macro_precision() -> None:
    found = tallied(MULTICLASS, codes(0, 1, 2), codes(0, 1, 1))

    assert found["precision_macro"] is None
    assert found["recall_macro"] == pytest.approx(2 / 3)


def test_a_predicted_class_that_the_baseline_does_not_know_is_an_error() -> None:
    found = tallied(MULTICLASS, codes(0, 1, 2, 2), codes(0, 1, 2, 3))

    assert (found["accuracy"], found["precision_macro"]) == (0.75, 1.0)
    assert found["recall_macro"] == pytest.approx(5 / 6)


def test_rows_whose_label_or_prediction_is_missing_are_not_counted() -> None:
    label, prediction = codes(1, np.nan, 0, 1), codes(1, 1, np.nan, 0)

    assert BINARY.contributions(label, prediction, codes(0.5, 0.5, 0.5, 0.5))[0].tolist() == [4, -1, -1, 3]
    assert MULTICLASS.contributions(label, prediction, NO_SCORES)[0].tolist() == [5, -1, -1, 4]
    assert REGRESSION.contributions(label, prediction, NO_SCORES)[0].tolist() == [0, -1, -1, 0]


def test_a_missing_score_leaves_the_metrics_of_the_others() -> None:
    found = tallied(BINARY, codes(1, 0, 1), codes(1, 0, 0), codes(0.8, np.nan, 0.4))

    assert found["log_loss"] == pytest.approx(metrics.log_loss([1, 1], [0.8, 0.4], labels=[0, 1]), rel=1e-12)
    assert found["brier"] == pytest.approx((0.04 + 0.36) / 2, rel=1e-12)
    assert found["accuracy"] == pytest.approx(2 / 3)


def test_scores_that_are_all_missing_have_no_metric() -> None:
    found = tallied(BINARY, codes(1, 0), codes(1, 0))

    assert (found["log_loss"], found["brier"], found["accuracy"]) == (None, None, 1.0)
