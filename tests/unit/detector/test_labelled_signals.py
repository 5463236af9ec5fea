from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.detector.baseline_build import build_baseline
from services.detector.signals.plan import SignalPlan
from shared.events.block import REPLACED_LABEL
from tests.kit.references import hours, loans, served, spec, words

NAN = float("nan")


def same(found: object, expected: object) -> None:
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))


def regression_plan() -> SignalPlan:
    rng = np.random.default_rng(3)
    label = rng.normal(100, 20, 2_000)
    table = pa.table({"ts": hours(2_000), "prediction": label + rng.normal(0, 5, 2_000), "label": label})
    return SignalPlan(build_baseline("bikes", spec(task="regression", positive_class=None), table))


def test_binary_flags_are_defined_by_the_label() -> None:
    plan = SignalPlan(build_baseline("loans", spec(segments=["channel"]), loans(1_000)))
    block = served(
        prediction=words("1", "0", "0", "1", None, "1"),
        label=words("1", "1", "0", "0", "1", None),
        score=pa.array([0.9, 0.2, 0.1, 0.7, None, 0.5]),
        s__channel=words("web", "web", "branch", "web", "web", "phone"),
    )

    found = plan.labelled(block)

    same(
        found.flags,
        [[0, 0, NAN], [1, 1, NAN], [0, NAN, 0], [1, NAN, 1], [NAN, NAN, NAN], [NAN, NAN, NAN]],
    )
    same(found.labels, [1, 1, 0, 0, 1, NAN])
    same(found.predictions, [1, 0, 0, 1, NAN, 1])
    same(found.scores, [[0.9], [0.2], [0.1], [0.7], [NAN], [0.5]])
    assert found.cells.tolist() == [[0, 2], [0, 2], [0, 1], [0, 2], [0, 2], [0, 3]]


def test_classes_that_the_reference_lacks_are_errors_only_where_texts_differ() -> None:
    table = pa.table({"prediction": ["a", "b", "c"] * 100, "label": ["a", "b", "b"] * 100})
    baseline = build_baseline("kinds", spec(task="multiclass", positive_class=None), table)

    found = SignalPlan(baseline).labelled(served(prediction=words("a", "x", "x", "y"), label=words("b", "x", "y", "a")))

    assert baseline.performance is not None
    assert [monitor.name for monitor in baseline.performance.monitors] == ["error", "error:a", "error:b"]
    same(found.flags, [[1, NAN, 1], [0, NAN, NAN], [1, NAN, NAN], [1, 1, NAN]])
    same(found.labels, [1, NAN, NAN, 0])
    same(found.predictions, [0, 3, 3, 3])


def test_a_regression_has_signed_residuals_with_the_rank_of_the_reference() -> None:
    found = regression_plan().labelled(
        served(prediction=pa.array([100.0, 90.0, None, 1e308]), label=pa.array([100.0, 130.0, 1.0, -1e308]))
    )

    same(found.residuals[:3], [0.0, -40.0, NAN])
    same(found.flags[:, 0], [0, 1, NAN, 1])
    assert found.residual_ranks[0] == pytest.approx(0.5, abs=0.05)
    assert found.residual_ranks[1] == pytest.approx(1 / 4_002)
    assert found.residual_scores[1] == -3.0
    assert not np.isinf(found.residual_scores).any()


def test_a_correction_is_read_from_the_label_that_it_replaced_too() -> None:
    block = served(prediction=pa.array([100.0]), label=pa.array([100.0]), replaced_label=pa.array([150.0]))
    plan = regression_plan()

    assert plan.labelled(block).flags.tolist() == [[0.0]]
    assert plan.labelled(block, REPLACED_LABEL).flags.tolist() == [[1.0]]


def test_without_reference_labels_there_are_no_monitors_but_labels_are_still_read() -> None:
    plan = SignalPlan(build_baseline("loans", spec(), loans(1_000).drop(["label"])))

    found = plan.labelled(served(prediction=words("1", "0"), label=words("0", "0")))

    assert found.flags.shape == (2, 0)
    assert found.labels.tolist() == [0.0, 0.0]
