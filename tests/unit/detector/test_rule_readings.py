"""Statistics of a closed window by the names of conditions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.detector.baseline_build import build_baseline
from services.detector.cell_windows import CellWindows
from services.detector.judge import Judge
from services.detector.report import WindowRow
from services.detector.rules.readings import readings_of
from services.detector.signals.plan import SignalPlan
from services.detector.window_rows import Span, WindowRows
from shared.conditions import STATISTICS
from shared.monitors import FeatureSpec, ModelSpec
from tests.kit.references import words

SPEC = ModelSpec(task="regression", reference="r.csv", features={"age": FeatureSpec(min=0, max=80)})
REFERENCE = pa.table(
    {
        "age": [*np.linspace(1, 79, 399), None],
        "town": ["bonn", "ulm", "kiel", None] * 100,
        "street": ["long", "short"] * 200,
        "prediction": np.linspace(0, 1, 400),
    }
)


def window() -> list[WindowRow]:
    """Return the rows of ten rows on all traffic."""
    baseline = build_baseline("m", SPEC, REFERENCE)
    batch = pa.record_batch(
        {
            "f:age": pa.array([5.0, 10.0, 15.0, 99.0, -1.0, None, 20.0, 25.0, 30.0, 35.0]),
            "f:town": words("bonn", None, "graz", "graz", "ulm", "ulm", None, "kiel", "ulm", "graz"),
            "f:street": words("long", None, "broad", *["short"] * 7),
            "prediction": pa.array([0.5] * 10),
        }
    )
    signals = SignalPlan(baseline).served(batch)
    windows = CellWindows.of(baseline, [10]).update(signals)
    return list(WindowRows(baseline, "1").of(Judge(baseline).judge(windows), 0, Span(0, 9)))


OF_PAIRS = {"pearson_delta", "spearman_delta"}


def test_rates_are_shares_of_the_window_s_rows() -> None:
    readings = readings_of(window(), {"missing_rate", "new_category_rate", "out_of_range_rate", "count"})

    assert readings["age", "all"] == {
        "missing_rate": 0.3,
        "new_category_rate": 0.0,
        "out_of_range_rate": 0.2,
        "count": 7,
    }
    assert readings["town", "all"] == {"missing_rate": 0.2, "new_category_rate": 0.3, "count": 8}
    assert readings["street", "all"] == {"missing_rate": 0.1, "new_category_rate": 0.1, "count": 9}


def test_every_statistic_is_that_of_the_report() -> None:
    rows = window()

    readings = readings_of(rows, STATISTICS)

    (age,) = (row for row in rows if row.signal == "age")
    found = readings["age", "all"]
    assert set(found) == set(STATISTICS)
    assert {name for name, value in found.items() if value is None} == OF_PAIRS
    assert (found["psi"], found["psi_debiased"], found["ks_pvalue"]) == (age.psi, age.psi_debiased, age.ks_pvalue)
    assert (found["min"], found["median"], found["max"]) == (5.0, age.median, 35.0)
    assert (found["mean"], found["sd"]) == pytest.approx((20.0, 10.0))


def test_categories_have_no_statistics_of_numbers() -> None:
    street = readings_of(window(), STATISTICS)["street", "all"]

    assert {name for name, value in street.items() if value is None} == {
        name for name, statistic in STATISTICS.items() if statistic.of == "numbers" and name != "out_of_range_rate"
    } | OF_PAIRS


def test_only_what_is_asked_for_is_read() -> None:
    assert readings_of(window(), {"psi"}).keys() >= {("age", "all"), ("prediction", "all")}
    assert all(set(reading) == {"psi"} for reading in readings_of(window(), {"psi"}).values())
