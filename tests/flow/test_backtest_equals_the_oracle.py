"""A backtest's report equals what scipy and scikit-learn say of the same windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from services.cli.adapters.backtest import run_files
from tests.kit.shipped import SETS, oracle

WINDOWS = {"car_loan": 5_000, "sea_abrupt": 5_000, "bikes": 1_000}
METRICS = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "f1",
    "log_loss": "log_loss",
    "brier": "brier",
    "roc_auc": "roc_auc",
    "average_precision": "average_precision",
    "mape": "mape",
    "mae": "mae",
    "rmse": "rmse",
    "r2": "r2",
    "bias": "mean_error",
}
DISTANCES = {
    "psi": "psi_floor",
    "js_distance": "js_distance_base2",
    "chi2": "chi2_stat",
    "chi2_binned": "chi2_stat",
    "l_infinity": "linf",
}


def backtest(name: str, out: Path, config: Path | None = None, window: int | None = None) -> Path:
    folder = SETS / name
    run_files(
        config or folder / "driftline.yaml",
        folder / "predictions.jsonl.zst",
        folder / "ground_truth.jsonl.zst",
        folder / "reference.parquet",
        out,
        window,
    )
    return out


@pytest.fixture(scope="module", params=sorted(WINDOWS))
def reported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    name = str(request.param)
    return name, backtest(name, tmp_path_factory.mktemp(name), window=WINDOWS[name])


def rows(path: Path, **where: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return [row for row in found if all(row[name] == value for name, value in where.items())]


def by_level(counts: dict[str, int]) -> dict[str, int]:
    return {level.lower() if level in ("True", "False") else level: n for level, n in counts.items()}


def test_windows_equal_the_oracle(reported: tuple[str, Path]) -> None:
    name, out = reported
    expected = oracle(name)["chunks"]

    for signal in expected[0]["univariate"]:
        ours = rows(out / "windows.parquet", signal="score" if signal == "score_1" else signal, segment="all")
        assert [(row["window_start_row"], row["window_end_row"]) for row in ours] == [
            (chunk["first_row"], chunk["last_row"]) for chunk in expected
        ]
        for row, chunk in zip(ours, expected, strict=True):
            theirs = chunk["univariate"][signal]
            if "bin_counts" in theirs:
                assert row["counts"] == theirs["bin_counts"]
            else:
                assert dict(zip(row["bins"], row["counts"], strict=True)) == by_level(theirs["counts"])
            for their_name, our_name in DISTANCES.items():
                if their_name in theirs:
                    assert row[our_name] == pytest.approx(theirs[their_name], rel=1e-9, abs=1e-9), our_name
            if "ks" in theirs:
                assert row["ks_stat"] == pytest.approx(theirs["ks"], abs=2e-3)
                assert row["wasserstein_norm"] == pytest.approx(theirs["wasserstein_over_ref_std"], abs=5e-3)


def test_metrics_equal_the_oracle(reported: tuple[str, Path]) -> None:
    name, out = reported
    expected = oracle(name)["chunks"]

    ours = rows(out / "performance.parquet", segment="all")

    assert len(ours) == len(expected)
    for row, chunk in zip(ours, expected, strict=True):
        assert (row["cohort_start_row"], row["cohort_end_row"]) == (chunk["first_row"], chunk["last_row"])
        assert row["n_labelled"] == chunk["performance"]["n_labelled"]
        assert row["n_late"] == 0
        for their_name, our_name in METRICS.items():
            if their_name in chunk["performance"]:
                assert row[our_name] == pytest.approx(chunk["performance"][their_name], rel=1e-9), our_name


# ROC AUC, F1 and accuracy of chunks of 5,000 rows, as NannyML's documentation prints them of the same loans.
PUBLISHED = [
    (0.970962, 0.943344, 0.9422),
    (0.970248, 0.940178, 0.9422),
    (0.976282, 0.948201, 0.9502),
    (0.967721, 0.942142, 0.9436),
    (0.969886, 0.940488, 0.9410),
    (0.96005, 0.913685, 0.9146),
    (0.95853, 0.914954, 0.9156),
    (0.959041, 0.913395, 0.9144),
    (0.963094, 0.920589, 0.9224),
    (0.957556, 0.913498, 0.9122),
]


@pytest.mark.parametrize("reported", ["car_loan"], indirect=True)
def test_performance_is_what_nannyml_publishes(reported: tuple[str, Path]) -> None:
    ours = rows(reported[1] / "performance.parquet", segment="all")

    found = [tuple(row[metric] for metric in ("roc_auc", "f1", "accuracy")) for row in ours]
    assert found == [pytest.approx(theirs, abs=6e-7) for theirs in PUBLISHED]


# The same of what NannyML estimates by confidence before any label.
ESTIMATED = [
    (0.970744, 0.943030, 0.941792),
    (0.971011, 0.941324, 0.943321),
    (0.971407, 0.943574, 0.945492),
    (0.971091, 0.943159, 0.944816),
    (0.971123, 0.944204, 0.944645),
    (0.961090, 0.911753, 0.910714),
    (0.961825, 0.911766, 0.911149),
    (0.961073, 0.911661, 0.911193),
    (0.962533, 0.913763, 0.914389),
    (0.961316, 0.914751, 0.911731),
]


@pytest.mark.parametrize("reported", ["car_loan"], indirect=True)
def test_estimates_are_what_nannyml_publishes(reported: tuple[str, Path]) -> None:
    ours = rows(reported[1] / "performance.parquet", segment="all")

    found = [tuple(row[f"estimated_{metric}"] for metric in ("roc_auc", "f1", "accuracy")) for row in ours]
    assert found == [pytest.approx(theirs, abs=5e-6) for theirs in ESTIMATED]
    assert [row["estimate_warning"] for row in ours] == [False] * 5 + [True] * 5
    assert [row["estimate_unreliable"] for row in ours] == [False] * 10


@pytest.mark.parametrize("reported", ["sea_abrupt"], indirect=True)
def test_labels_say_that_estimates_know_nothing_of_concept_drift(reported: tuple[str, Path]) -> None:
    ours = rows(reported[1] / "performance.parquet", segment="all")

    assert [row["estimate_warning"] for row in ours] == [False] * 10
    assert [row["estimate_unreliable"] for row in ours] == [False] + [True] * 9


def test_labels_beyond_the_horizon_are_counted_late(tmp_path: Path) -> None:
    content = (SETS / "car_loan" / "driftline.yaml").read_text()
    config = tmp_path / "driftline.yaml"
    config.write_text(content.replace("label_horizon: 120d", "label_horizon: 30d"))

    out = backtest("car_loan", tmp_path / "out", config=config, window=5_000)

    cohorts = rows(out / "performance.parquet", segment="all")
    assert sum(row["n_late"] for row in cohorts) == 3_128
    assert sum(row["n_labelled"] + row["n_late"] for row in cohorts) == 50_000
