"""Metrics from sums equal scikit-learn's from rows."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn import metrics

from services.detector.performance.metrics.row_costs import BINS, SCORE_CLIP
from services.detector.performance.metrics.value import Metrics
from services.detector.performance.score_counts import ScoreCounts
from services.detector.performance.tally import Tally
from services.detector.structs import FloatArray
from tests.kit.pages import PAGES
from tests.kit.shipped import SETS

BINARY = Tally("binary", ("no", "yes"), positive=1)
MULTICLASS = Tally("multiclass", ("a", "b", "c"))
REGRESSION = Tally("regression", ())
COUNTED = {"tn", "fp", "fn", "tp"}


def tallied(tally: Tally, label: FloatArray, prediction: FloatArray, scores: FloatArray | None = None) -> Metrics:
    """Return the metrics of these rows, added up."""
    given = np.full((len(label), max(len(tally.curves), 1)), np.nan) if scores is None else scores
    told = tally.contributions(label, prediction, given if given.ndim == 2 else given[:, None])
    known = told.index >= 0
    counts = np.bincount(told.index[known], minlength=tally.counts)
    tables = ScoreCounts.of(len(tally.curves))
    slot = tables.take()
    edges = np.zeros((len(tally.curves), 1))
    rows = np.arange(len(label))
    tables.add(np.where(known, slot, -1), rows, told.scores, told.truths, edges, 1 << 20, 1)
    areas = tally.areas([tables.table(slot, curve) for curve in range(len(tally.curves))])
    return tally.metrics(counts, told.addends[known].sum(axis=0)) | areas


def values(found: Metrics) -> dict[str, float | None]:
    return {name: value.value for name, value in found.items()}


def codes(*numbers: float) -> FloatArray:
    return np.array(numbers, np.float64)


def calibration_error(confidence: FloatArray, right: FloatArray) -> float:
    """Return the mean gap between confidence and accuracy of equally wide bins, weighted by their rows."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    gaps = [abs(confidence[bins == b].mean() - right[bins == b].mean()) * np.mean(bins == b) for b in np.unique(bins)]
    return float(np.sum(gaps))


@pytest.mark.parametrize("seed", range(5))
def test_binary_metrics_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label, prediction = (rng.integers(0, 2, 500).astype(np.float64) for _ in range(2))
    score = np.round(rng.random(500), 2 if seed % 2 else 12)  # with ties and without
    score[:3] = [0.0, 1.0, 1.0]

    found = tallied(BINARY, label, prediction, score)

    tn, fp, fn, tp = metrics.confusion_matrix(label, prediction).ravel()
    clipped = np.clip(score, SCORE_CLIP, 1 - SCORE_CLIP)
    recall, specificity = metrics.recall_score(label, prediction), metrics.recall_score(label, prediction, pos_label=0)
    assert values(found) == {
        name: pytest.approx(value, rel=1e-12, abs=1e-12)
        for name, value in {
            "accuracy": metrics.accuracy_score(label, prediction),
            "precision": metrics.precision_score(label, prediction),
            "recall": recall,
            "f1": metrics.f1_score(label, prediction),
            "specificity": specificity,
            "balanced_accuracy": metrics.balanced_accuracy_score(label, prediction),
            "mcc": metrics.matthews_corrcoef(label, prediction),
            "tpr": recall,
            "tnr": specificity,
            "fpr": fp / (fp + tn),
            "fnr": fn / (fn + tp),
            "log_loss": metrics.log_loss(label, clipped),
            "brier": metrics.brier_score_loss(label, score),
            "ece": calibration_error(score, label),
            "roc_auc": metrics.roc_auc_score(label, score),
            "average_precision": metrics.average_precision_score(label, score),
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
    scores = rng.dirichlet([1, 1, 1], 400)
    truth = np.eye(3)[label.astype(int)]

    found = values(tallied(MULTICLASS, label, prediction, scores))

    expected = {
        "accuracy": metrics.accuracy_score(label, prediction),
        "balanced_accuracy": metrics.balanced_accuracy_score(label, prediction),
        "mcc": metrics.matthews_corrcoef(label, prediction),
        "log_loss": metrics.log_loss(label, scores),
        "brier": float(np.mean(np.sum((scores - truth) ** 2, axis=1))),
        "ece": calibration_error(scores.max(axis=1), (scores.argmax(axis=1) == label).astype(np.float64)),
        "roc_auc_macro": metrics.roc_auc_score(label, scores, multi_class="ovr", average="macro"),
        "average_precision_macro": metrics.average_precision_score(truth, scores, average="macro"),
    }
    for name, score in (
        ("precision", metrics.precision_score),
        ("recall", metrics.recall_score),
        ("f1", metrics.f1_score),
    ):
        for average in ("macro", "micro", "weighted"):
            expected[f"{name}_{average}"] = score(label, prediction, average=average)
        for klass, value in zip("abc", score(label, prediction, average=None), strict=True):
            expected[f"{name}_{klass}"] = value
    assert found == {name: pytest.approx(value, rel=1e-12, abs=1e-12) for name, value in expected.items()}


@pytest.mark.parametrize("seed", range(5))
def test_regression_metrics_are_scikit_learns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    label = rng.gamma(2, 20, 300)
    prediction = np.abs(label + rng.normal(2, 5, 300))
    tally = Tally("regression", (), quantile=0.9)

    assert values(tallied(tally, label, prediction)) == {
        name: pytest.approx(value, rel=1e-12)
        for name, value in {
            "mae": metrics.mean_absolute_error(label, prediction),
            "mse": metrics.mean_squared_error(label, prediction),
            "rmse": metrics.root_mean_squared_error(label, prediction),
            "mean_error": float(np.mean(prediction - label)),
            "mape": metrics.mean_absolute_percentage_error(label, prediction),
            "smape": float(np.mean(2 * np.abs(prediction - label) / (np.abs(label) + np.abs(prediction)))),
            "rmsle": metrics.root_mean_squared_log_error(label, prediction),
            "r2": metrics.r2_score(label, prediction),
            "quantile_loss": metrics.mean_pinball_loss(label, prediction, alpha=0.9),
        }.items()
    }


def compared() -> list[list[str]]:
    """Return rows of a table: a metric of the first 2,000 rows of shipped references, ours, and scikit-learn's."""
    loans = pq.read_table(SETS / "car_loan" / "reference.parquet", columns=["label", "prediction", "score_1"])[:2_000]
    label, prediction = ((loans[name].to_numpy() == 1).astype(np.float64) for name in ("label", "prediction"))
    score = loans["score_1"].to_numpy()
    bikes = pq.read_table(SETS / "bikes" / "reference.parquet", columns=["label", "prediction"])[:2_000]
    count, guess = (bikes[name].to_numpy().astype(np.float64) for name in ("label", "prediction"))
    clipped = np.clip(score, SCORE_CLIP, 1 - SCORE_CLIP)
    theirs = {
        "accuracy": metrics.accuracy_score(label, prediction),
        "precision": metrics.precision_score(label, prediction),
        "recall": metrics.recall_score(label, prediction),
        "f1": metrics.f1_score(label, prediction),
        "balanced_accuracy": metrics.balanced_accuracy_score(label, prediction),
        "mcc": metrics.matthews_corrcoef(label, prediction),
        "log_loss": metrics.log_loss(label, clipped),
        "brier": metrics.brier_score_loss(label, score),
        "roc_auc": metrics.roc_auc_score(label, score),
        "average_precision": metrics.average_precision_score(label, score),
        "mae": metrics.mean_absolute_error(count, guess),
        "rmse": metrics.root_mean_squared_error(count, guess),
        "mape": metrics.mean_absolute_percentage_error(count, guess),
        "r2": metrics.r2_score(count, guess),
        "quantile_loss": metrics.mean_pinball_loss(count, guess, alpha=0.5),
    }
    ours = values(tallied(BINARY, label, prediction, score)) | values(tallied(REGRESSION, count, guess))
    for name, value in theirs.items():
        assert ours[name] == pytest.approx(value, rel=1e-9)
    return [[f"`{name}`", f"{ours[name] or 0.0:.9g}", f"{value:.9g}"] for name, value in theirs.items()]


def test_the_table_of_the_page_has_our_numbers_and_scikit_learns() -> None:
    parts = PAGES["docs/performance.md"].split("\n\n")
    (shown,) = [part for part in parts if part.startswith("| metric | Driftline | scikit-learn")]

    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown.splitlines()[2:]]
    assert lines == compared()


@pytest.mark.parametrize("tally", [BINARY, MULTICLASS, REGRESSION], ids=lambda tally: tally.task)
def test_without_labels_there_is_no_metric(tally: Tally) -> None:
    found = tallied(tally, codes(), codes())

    assert {value.value for name, value in found.items() if name not in COUNTED} == {None}
    assert all(value.note for name, value in found.items() if name not in COUNTED)


def test_a_metric_without_a_denominator_is_missing_and_says_why() -> None:
    found = tallied(BINARY, codes(0, 0), codes(0, 0), codes(0.1, 0.2))

    assert {name: value.note for name, value in found.items() if value.value is None} == {
        "precision": "nothing was predicted to be the positive class",
        "recall": "no label is the positive class",
        "tpr": "no label is the positive class",
        "fnr": "no label is the positive class",
        "f1": "neither a label nor a prediction is the positive class",
        "balanced_accuracy": "no label is the positive class",
        "mcc": "labels or predictions are all of one class",
        "roc_auc": "no scored label is the positive class",
        "average_precision": "no scored label is the positive class",
    }
    assert [found[name].value for name in ("accuracy", "specificity", "fpr")] == [1.0, 1.0, 0.0]


def test_a_constant_label_has_no_r2() -> None:
    found = tallied(REGRESSION, codes(3, 3), codes(3, 4))["r2"]

    assert (found.value, found.note) == (None, "all labels are the same")


def test_labels_of_zero_are_left_out_of_relative_errors_and_counted() -> None:
    found = tallied(REGRESSION, codes(0, 2, 4), codes(1, 3, 4))

    assert (found["mape"].value, found["mape"].note) == (0.25, "without 1 labels that are 0")
    assert tallied(REGRESSION, codes(0, 0), codes(1, 0))["mape"].note == "every label is 0"
    assert found["smape"].value == pytest.approx((2 + 0.4 + 0) / 3)


def test_two_zeros_have_no_symmetric_error() -> None:
    assert tallied(REGRESSION, codes(0, 1), codes(0, 1))["smape"].value == 0.0


def test_a_number_of_minus_one_or_less_leaves_no_logarithmic_error() -> None:
    found = tallied(REGRESSION, codes(1, -1, 5), codes(1, 2, -3))["rmsle"]

    assert (found.value, found.note) == (None, "2 labels or predictions are -1 or less")


def test_a_class_that_nobody_predicted_leaves_no_macro_precision() -> None:
    found = tallied(MULTICLASS, codes(0, 1, 2), codes(0, 1, 1))

    assert (found["precision_macro"].value, found["precision_macro"].note) == (None, "nothing was predicted to be c")
    assert found["recall_macro"].value == pytest.approx(2 / 3)


def test_a_predicted_class_that_the_baseline_does_not_know_is_an_error() -> None:
    found = tallied(MULTICLASS, codes(0, 1, 2, 2), codes(0, 1, 2, 3))

    assert (found["accuracy"].value, found["precision_macro"].value) == (0.75, 1.0)
    assert found["recall_macro"].value == pytest.approx(5 / 6)


@pytest.mark.parametrize("tally", [BINARY, MULTICLASS], ids=lambda tally: tally.task)
def test_a_label_outside_the_classes_is_in_no_metric(tally: Tally) -> None:
    label, prediction = codes(0, 1, 1, 0), codes(0, 1, 0, 0)
    scores = np.tile([0.2, 0.5, 0.3][: len(tally.curves)], (6, 1))

    found = tallied(tally, codes(*label, np.nan, np.nan), codes(*prediction, 0.0, 1.0), scores)

    assert values(found) == values(tallied(tally, label, prediction, scores[:4]))


def test_scores_that_do_not_sum_to_one_are_taken_as_they_are() -> None:
    scores = np.array([[0.9, 0.9, 0.1], [0.2, 0.1, 0.1], [0.0, 0.0, 0.0], [1.0, 0.5, 2.0]])

    found = tallied(MULTICLASS, codes(0, 1, 2, 2), codes(0, 1, 2, 2), scores)

    clipped = np.clip([0.9, 0.1, 0.0, 2.0], SCORE_CLIP, 1 - SCORE_CLIP)
    truths = np.eye(3)[[0, 1, 2, 2]]
    assert found["log_loss"].value == pytest.approx(-np.log(clipped).mean(), rel=1e-12)
    assert found["brier"].value == pytest.approx(((scores - truths) ** 2).sum(axis=1).mean(), rel=1e-12)
    assert found["accuracy"].value == 1.0


def test_many_classes_have_no_metrics_of_each() -> None:
    tally = Tally("multiclass", tuple(f"{number}" for number in range(21)))

    found = tallied(tally, np.arange(21.0), np.arange(21.0))

    assert found["accuracy"].value == 1.0
    assert (found["roc_auc_macro"].value, found["roc_auc_macro"].note) == (None, "more than 20 classes")
    assert not any(name.startswith("recall_1") for name in found)


def test_rows_whose_label_or_prediction_is_missing_are_not_counted() -> None:
    label, prediction, scores = codes(1, np.nan, 0, 1), codes(1, 1, np.nan, 0), np.full((4, 3), 0.5)

    for tally, expected in ((BINARY, [4, -1, -1, 3]), (MULTICLASS, [5, -1, -1, 4]), (REGRESSION, [0, -1, -1, 0])):
        assert tally.contributions(label, prediction, scores).index.tolist() == expected


def test_a_missing_score_leaves_the_metrics_of_the_others() -> None:
    found = tallied(BINARY, codes(1, 0, 1, 0), codes(1, 0, 0, 0), codes(0.8, np.nan, 0.4, 0.5))

    assert found["log_loss"].value == pytest.approx(metrics.log_loss([1, 1, 0], [0.8, 0.4, 0.5]), rel=1e-12)
    assert found["brier"].value == pytest.approx((0.04 + 0.36 + 0.25) / 3, rel=1e-12)
    assert found["roc_auc"].value == 0.5
    assert found["accuracy"].value == 0.75


def test_scores_that_are_all_missing_have_no_metric() -> None:
    found = tallied(BINARY, codes(1, 0), codes(1, 0))

    assert {found[name].note for name in ("log_loss", "brier", "ece", "roc_auc")} == {"no scores"}
    assert found["accuracy"].value == 1.0


@pytest.mark.parametrize("tally", [BINARY, MULTICLASS, REGRESSION], ids=lambda tally: tally.task)
def test_intervals_hold_the_value_of_the_world_as_often_as_they_promise(tally: Tally) -> None:
    rng = np.random.default_rng(4)

    def drawn(rows: int) -> tuple[FloatArray, FloatArray, FloatArray]:
        if tally.task == "regression":
            label = rng.gamma(4, 10, rows)
            return label, label * rng.lognormal(0.0, 0.2, rows), np.zeros((rows, 1))
        classes = len(tally.classes)
        label = (rng.random(rows) * classes).astype(np.int64)
        scores = rng.dirichlet(np.ones(classes), rows) * 0.7 + 0.3 * np.eye(classes)[label]
        return (
            label.astype(np.float64),
            scores.argmax(axis=1).astype(np.float64),
            scores[:, -len(tally.curves) :].round(3),
        )

    world = tallied(tally, *drawn(100_000))
    samples = [tallied(tally, *drawn(400)) for _ in range(200)]

    for name, truth in world.items():
        if truth.low is None or truth.value is None or name == "ece":  # a gap of nothing is never seen to be nothing
            continue
        ends = [(sample[name].low, sample[name].high) for sample in samples]
        held = sum(low <= truth.value <= high for low, high in ends if low is not None and high is not None)
        assert held >= 178, (name, held)  # of 200: three standard errors below 95 %
