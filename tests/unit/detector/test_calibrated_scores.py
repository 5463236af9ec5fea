"""What estimates are made of: calibrated scores, and expected losses by leaves of a tree."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.tree import DecisionTreeRegressor

from services.detector.estimates.calibration import AS_THEY_ARE, KNOTS, calibrate, calibration_error, normalised
from services.detector.estimates.loss_tree import LEAVES, Input, grow, losses_of
from services.detector.structs import FloatArray


def overstated(rows: int, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return scores whose odds are the squares of what they should be, and labels."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0.0, 2.0, rows)
    label = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.float64)
    return np.round(1 / (1 + np.exp(-2 * logit)), 3), label


def test_calibrated_scores_are_scikit_learns_isotonic_regression() -> None:
    (scores, label), (later, _) = overstated(20_000, 3), overstated(5_000, 4)

    calibration = calibrate(scores, label == 1)

    theirs = IsotonicRegression(out_of_bounds="clip").fit(scores, label).predict(later)
    assert calibration.is_fitted
    assert len(calibration.scores) <= KNOTS
    assert calibration.of(later) == pytest.approx(theirs, abs=1e-12)
    assert math.isnan(calibration.of(np.array([np.nan]))[0])


def test_scores_that_are_chances_stay_as_they_are() -> None:
    rng = np.random.default_rng(1)
    scores = np.round(rng.random(5_000) * 20) / 20
    truths = np.zeros(5_000, np.bool_)
    for score in np.unique(scores):  # as many positives as the score says, spread evenly
        rows = np.flatnonzero(scores == score)
        truths[rows] = np.diff(np.floor(np.arange(rows.size + 1) * score + 1e-9)) > 0

    assert calibrate(scores, truths) is AS_THEY_ARE


@pytest.mark.parametrize("truth", [True, False])
def test_labels_of_one_class_calibrate_nothing(truth: bool) -> None:
    assert calibrate(np.linspace(0, 1, 1_000), np.full(1_000, truth)) is AS_THEY_ARE


def test_the_calibration_error_is_the_mean_gap_of_bins_of_equally_many_rows() -> None:
    scores, truths = np.repeat([0.2, 0.8], 50), np.repeat([False, True], 50)

    assert calibration_error(scores, truths) == pytest.approx(0.2)


def test_several_classes_chances_sum_to_one() -> None:
    each = normalised([np.array([0.5, 0.0]), np.array([1.5, 0.0])])

    assert each.tolist() == [[0.25, 0.75], [0.5, 0.5]]


def test_a_calibration_keeps_its_knots_under_the_limit() -> None:
    scores = np.linspace(0, 1, 40_000)
    truths = np.arange(40_000) % 1_000 < scores * 1_000

    calibration = calibrate(scores, truths, classes=1_024)

    assert len(calibration.scores) <= 10
    assert np.all(np.diff(calibration.chances) >= 0)


def test_a_loss_tree_splits_as_scikit_learns_does() -> None:
    rng = np.random.default_rng(2)
    values = rng.integers(0, 30, (4_000, 3)).astype(np.float64)
    errors = np.where(values[:, 1] > 11, 5.0, 1.0) + np.where(values[:, 2] > 20, 2.0, 0.0) + rng.random(4_000)
    nothing = np.zeros(0, np.int64)

    tree = grow([Input(name, values[:, at], nothing, []) for at, name in enumerate("abc")], errors)

    theirs = DecisionTreeRegressor(max_leaf_nodes=4, min_samples_leaf=50).fit(values, errors)
    ours = losses_of(tree, values[:, ["abc".index(name) for name in tree.columns]])[:, 0]
    assert (tree.column < 0).sum() <= LEAVES
    assert np.corrcoef(ours, theirs.predict(values))[0, 1] > 0.98
    assert tree.columns[tree.column[0]] == "b"
    assert tree.cut[0] == 11.0
    assert ours.mean() == pytest.approx(errors.mean(), rel=1e-12)


def test_an_unknown_level_goes_where_most_rows_go() -> None:
    rng = np.random.default_rng(2)
    codes = (rng.random(2_000) < 0.2).astype(np.int64)
    errors = np.where(codes == 1, 9.0, 1.0)

    tree = grow([Input("region", np.zeros(0), codes, ["calm", "wild"])], errors)

    assert tree.levels == [["calm", "wild"]]
    assert losses_of(tree, np.array([[0.0], [1.0], [np.nan]]))[:, 0].tolist() == [1.0, 9.0, 1.0]
