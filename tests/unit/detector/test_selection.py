"""Where labels depend on what was predicted, metrics say so, and estimates beside them count every prediction."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as sklearn_metrics

from services.detector.performance.metrics.value import Metrics
from services.detector.performance.selection import unevenness
from services.detector.performance.tally import Tally
from tests.kit.traffic import START_MS, Log, fold_of, folded, rows, watch_of

BINARY = Tally("binary", ("no", "yes"), positive=1)
MULTICLASS = Tally("multiclass", ("a", "b", "c"))


def found(tally: Tally, matrix: list[list[int]], served: list[int]) -> Metrics:
    counts = np.array(matrix).ravel()
    plain = tally.metrics(counts, np.zeros(len(tally.sums)))
    return tally.selected(plain, counts, np.array(served))


def rows_of(matrix: list[list[int]], weights: list[float]) -> tuple[list[int], list[int], list[float]]:
    """Return labels, predictions and weights of the rows that a matrix counts."""
    places = [
        (label, prediction) for label, line in enumerate(matrix) for prediction, n in enumerate(line) for _ in range(n)
    ]
    return [label for label, _ in places], [at for _, at in places], [weights[at] for _, at in places]


def test_estimates_are_scikit_learns_with_the_inverse_share_of_labels_as_weights() -> None:
    matrix, served = [[60, 30, 0], [20, 170, 0]], [800, 250, 0]
    labels, predictions, weights = rows_of(matrix, [800 / 80, 250 / 200, 0.0])
    expected = {
        "accuracy_ipw": sklearn_metrics.accuracy_score(labels, predictions, sample_weight=weights),
        "balanced_accuracy_ipw": sklearn_metrics.balanced_accuracy_score(labels, predictions, sample_weight=weights),
        "f1_ipw": sklearn_metrics.f1_score(labels, predictions, sample_weight=weights),
        "mcc_ipw": sklearn_metrics.matthews_corrcoef(labels, predictions, sample_weight=weights),
        "recall_ipw": sklearn_metrics.recall_score(labels, predictions, sample_weight=weights),
        "specificity_ipw": sklearn_metrics.recall_score(labels, predictions, sample_weight=weights, pos_label=0),
    }

    told = found(BINARY, matrix, served)

    assert {name: told[name].value for name in told if name.endswith("_ipw")} == pytest.approx(expected, rel=1e-9)


def test_estimates_of_several_classes_are_scikit_learns() -> None:
    matrix, served = [[50, 5, 5, 0], [10, 80, 5, 0], [2, 3, 90, 0]], [1_000, 100, 110, 0]
    labels, predictions, weights = rows_of(matrix, [1_000 / 62, 100 / 88, 1.1, 0.0])
    expected = {
        "accuracy_ipw": sklearn_metrics.accuracy_score(labels, predictions, sample_weight=weights),
        "balanced_accuracy_ipw": sklearn_metrics.balanced_accuracy_score(labels, predictions, sample_weight=weights),
        "f1_macro_ipw": sklearn_metrics.f1_score(labels, predictions, sample_weight=weights, average="macro"),
        "mcc_ipw": sklearn_metrics.matthews_corrcoef(labels, predictions, sample_weight=weights),
        "recall_macro_ipw": sklearn_metrics.recall_score(labels, predictions, sample_weight=weights, average="macro"),
    }

    told = found(MULTICLASS, matrix, served)

    assert {name: told[name].value for name in told if name.endswith("_ipw")} == pytest.approx(expected, rel=1e-9)


def test_the_estimate_is_right_where_labels_alone_are_wrong() -> None:
    rng = np.random.default_rng(1)
    covered, off = 0, []
    for _ in range(200):
        predictions = (rng.random(1_000) < 0.3).astype(int)
        right = rng.random(1_000) < np.where(predictions == 1, 0.6, 0.95)
        labels = np.where(right, predictions, 1 - predictions)
        has_label = rng.random(1_000) < np.where(predictions == 1, 0.9, 0.15)
        matrix = np.zeros((2, 3), int)
        np.add.at(matrix, (labels[has_label], predictions[has_label]), 1)
        told = found(BINARY, matrix.tolist(), [*np.bincount(predictions).tolist(), 0])
        estimate, truth = told["accuracy_ipw"], right.mean()
        covered += (estimate.low or 0.0) <= truth <= (estimate.high or 0.0)
        off.append(((estimate.value or 0.0) - truth, (told["accuracy"].value or 0.0) - truth))

    mended, biased = np.mean(off, axis=0)
    assert abs(mended) < 0.005
    assert biased < -0.1
    assert covered >= 185


def test_metrics_say_what_they_suffer_from() -> None:
    told = found(BINARY, [[60, 30, 0], [20, 170, 0]], [800, 250, 0])

    why = "biased by selection: labels of 10% of the predictions of no, of 80% of yes"
    assert (told["accuracy"].note, told["fpr"].note, told["precision"].note) == (why, why, "")
    assert told["log_loss"].note == f"no scores; {why}"


@pytest.mark.parametrize(
    ("labelled", "served"),
    [
        ([80, 200, 0], [100, 250, 0]),
        ([40, 200, 0], [100, 251, 0]),
        ([1, 3, 0], [6, 4, 0]),
        ([0, 5, 0], [0, 5, 0]),
        ([0, 0, 0], [50, 50, 0]),
    ],
    ids=["alike", "under twice", "by chance", "one class", "no labels"],
)
def test_labels_that_are_a_fair_sample_are_left_alone(labelled: list[int], served: list[int]) -> None:
    assert unevenness(np.array(labelled), np.array(served), ("no", "yes", "any other class")) == ""


def test_where_a_class_has_no_labels_at_all_there_is_no_estimate() -> None:
    told = found(BINARY, [[0, 30, 0], [0, 170, 0]], [800, 250, 0])

    assert [name for name in told if name.endswith("_ipw")] == ["accuracy_ipw"]
    assert (told["accuracy_ipw"].value, told["accuracy_ipw"].note) == (None, "no prediction of no has a label")


def test_a_regression_has_no_predicted_classes() -> None:
    tally = Tally("regression", ())

    assert tally.predictions == 0


def test_predictions_that_are_no_class_are_counted_apart_and_missing_ones_not_at_all() -> None:
    codes = BINARY.predicted(pa.array(["yes", "no", "maybe", None, "yes", "other"]))

    assert codes.tolist() == [1, 0, 2, -1, 1, 2]


def test_labels_of_some_segments_alone_are_told_of_all_traffic_once_each_segment_has_a_cohort() -> None:
    table = rows(3_000).sort_by("seg_channel")
    first = table["seg_channel"].to_pylist()[0]
    labelled = table["seg_channel"].to_pylist().count(first)
    log, fold = Log(table), fold_of()
    log.serve(0, 3_000)
    log.label(0, labelled)
    folded(fold, log.records)

    notes = [row.metrics["precision"].note for row in watch_of(fold).cohort_rows(START_MS) if row.segment == "all"]

    assert labelled > 1_000
    assert "biased" not in notes[0]
    assert "biased by selection: labels of 0% of the predictions of channel=" in notes[2]
    assert notes[2].endswith(f", of 100% of channel={first}")
