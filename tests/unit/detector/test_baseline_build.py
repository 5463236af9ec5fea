from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.detector import baseline_build
from services.detector.baseline import Baseline, Column
from services.detector.baseline_build import build_baseline
from services.detector.seasons.pace import Pace
from shared.errors import ConfigurationError
from shared.monitors import FeatureSpec
from tests.kit import shipped
from tests.kit.references import HOUR_MS, loans, spec


def columns(baseline: Baseline) -> dict[str, Column]:
    return {column.name: column for column in baseline.columns}


def whys(baseline: Baseline) -> dict[str, str]:
    return {column.name: baseline.why_not_yet(place, 0) for place, column in enumerate(baseline.columns)}


def with_column(table: pa.Table, name: str, values: object) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, values)


def test_columns_are_features_then_prediction_then_the_positive_score() -> None:
    found = build_baseline("loans", spec(), loans(1_000))

    assert [(column.name, column.source, column.role) for column in found.columns] == [
        ("amount", "f:amount", "feature"),
        ("term", "f:term", "feature"),
        ("region", "f:region", "feature"),
        ("repaid_before", "f:repaid_before", "feature"),
        ("prediction", "prediction", "prediction"),
        ("score", "score", "score"),
    ]


def test_a_clean_reference_in_time_order_is_armed_everywhere() -> None:
    found = build_baseline("loans", spec(segments=["channel"]), loans())

    assert set(whys(found).values()) == {""}
    assert found.share_armed(segments=False) == 1.0
    assert found.share_armed(segments=True) == pytest.approx(2 / 3)  # nothing is known of channel=__other__
    assert [(s.page_hinkley, s.adwin) for s in found.sequential] == [("", "")] * 3


def test_counts_of_segments_add_up_to_all_traffic() -> None:
    for column in build_baseline("loans", spec(segments=["channel"]), loans(3_000)).columns:
        np.testing.assert_array_equal(column.counts[1:].sum(axis=0), column.counts[0])
        np.testing.assert_array_equal(column.grid_counts[1:].sum(axis=0), column.grid_counts[0])


def test_a_short_reference_is_thin() -> None:
    found = build_baseline("loans", spec(), loans(9_999))

    assert set(whys(found).values()) == {"reference is thin (9999 rows; needs 10000)"}
    assert [s.page_hinkley for s in found.sequential] == ["", "", ""]


def test_without_times_or_order_everything_calibrates() -> None:
    table = loans()
    shuffled = table.take(pa.array(np.random.default_rng(1).permutation(table.num_rows)))

    untimed, unordered = build_baseline("loans", spec(), table.drop(["ts"])), build_baseline("loans", spec(), shuffled)

    first = "calibrates on the first week of live traffic:"
    assert set(whys(untimed).values()) == {f"{first} reference has no ts: with one its steadiness could be tested"}
    assert set(whys(unordered).values()) == {f"{first} reference is not in time order"}
    assert untimed.rows_per_week is None
    assert untimed.share_armed(segments=False) == 0.0
    assert (unordered.sequential[0].adwin, unordered.sequential[0].adwin_window) == ("", b"")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"cycle": "none"}, ""),
        ({"cycle": "day"}, ""),
        ({"cycle": "week"}, ""),
        ({"cycle": "day", "events_per_week": 168.0 * 3}, ""),
        (
            {"cycle": "day", "events_per_week": 168.0 * 4},
            "events_per_week declares 4 rows an hour, the reference has 1",
        ),
        ({"cycle": "none", "events_per_week": 168.0 * 4}, ""),
    ],
)
def test_a_long_reference_is_trusted_at_its_own_pace(changes: dict[str, object], why: str) -> None:
    assert set(build_baseline("loans", spec(**changes), loans()).untested) == {why}


@pytest.mark.parametrize(
    ("rows", "cycle", "why"),
    [
        (48, "day", ""),
        (47, "day", "reference spans 1.96 d, not two whole days"),
        (47, "none", ""),
        (300, "week", "reference spans 12.5 d, not two whole weeks"),
    ],
)
def test_a_reference_must_hold_two_whole_cycles(rows: int, cycle: str, why: str) -> None:
    assert set(build_baseline("loans", spec(cycle=cycle), loans(rows)).untested) == {why}


def test_the_pace_that_live_traffic_must_have_is_the_references() -> None:
    timed = build_baseline("loans", spec(), loans())

    assert timed.pace == Pace(99 * HOUR_MS, 99 * HOUR_MS)
    assert build_baseline("loans", spec(cycle="none"), loans()).pace is None
    assert build_baseline("loans", spec(events_per_week=168.0), loans()).pace is None


def test_the_declared_pace_wins_over_the_reference_span() -> None:
    assert build_baseline("loans", spec(), loans(1_000)).rows_per_week == pytest.approx(168 * 1_000 / 999)
    assert build_baseline("loans", spec(events_per_week=5e6), loans(1_000)).rows_per_week == 5e6


def test_a_season_makes_a_column_unsteady_for_every_drift_detector() -> None:
    table = loans()
    season = np.sin(np.arange(table.num_rows) * 2 * np.pi / 6_000) + np.random.default_rng(1).normal(size=12_000)

    found = build_baseline("loans", spec(), with_column(table, "amount", pa.array(season)))

    assert whys(found)["amount"].startswith("unsteady: its own windows differ by PSI up to")
    assert found.sequential[0].page_hinkley == "unsteady"
    assert whys(found)["term"] == ""


def test_a_daily_cycle_passes_the_windows_but_not_the_sequential_detectors() -> None:
    table = loans(30_000)
    daily = np.where(np.arange(30_000) % 1_000 < 500, -1.0, 1.0) + np.random.default_rng(1).normal(size=30_000)

    found = build_baseline("loans", spec(), with_column(table, "amount", pa.array(daily)))

    assert whys(found)["amount"] == ""
    assert found.sequential[0].page_hinkley == "alarms on the reference itself"


def test_an_identifier_and_a_constant_do_not_page() -> None:
    table = loans().append_column("user", pa.array([f"u{i}" for i in range(12_000)]))
    table = table.append_column("currency", pa.array(["EUR"] * 12_000)).append_column("fee", pa.array([5.0] * 12_000))

    found = whys(build_baseline("loans", spec(), table))

    assert found["user"] == "an identifier: 100% of its values occur once"
    assert found["currency"] == "nearly all rows hold one value: nothing to compare"
    assert found["fee"] == "nearly all rows hold one value: nothing to compare"


def test_a_column_without_values_is_said_to_have_none() -> None:
    table = loans().append_column("empty", pa.nulls(12_000, pa.float64()))

    found = build_baseline("loans", spec(), table)

    assert whys(found)["empty"] == "the reference has no values"
    assert columns(found)["empty"].missing.tolist() == [12_000]


def test_levels_are_capped_and_nulls_are_a_level() -> None:
    rng = np.random.default_rng(2)
    shops = [None if i % 100 == 0 else f"shop{int(k)}" for i, k in enumerate(rng.zipf(1.3, 12_000) % 3_000)]

    shop = columns(build_baseline("loans", spec(), loans().append_column("shop", pa.array(shops))))["shop"]

    assert len(shop.levels) == 1_002
    assert shop.levels == sorted(shop.levels)
    assert int(shop.counts[0][shop.levels.index("__missing__")]) == 120
    assert int(shop.counts.sum()) == 12_000


def test_values_outside_the_configured_range_are_missing() -> None:
    low, high = 12.0, 36.0

    found = build_baseline("loans", spec(features={"term": FeatureSpec(min=low, max=high)}), loans(1_000))

    term = columns(found)["term"]
    assert int(term.missing[0]) == sum(value > high for value in loans(1_000)["term"].to_pylist())
    assert (term.low, term.high) == (12.0, 36.0)


def test_the_largest_share_of_missing_values_is_that_of_the_worst_window() -> None:
    amounts = [None if 2_000 <= i < 2_500 else 1.0 + i % 7 for i in range(5_000)]

    found = build_baseline("loans", spec(), with_column(loans(5_000), "amount", pa.array(amounts)))

    assert columns(found)["amount"].missing_peak == 0.5


def test_a_baseline_that_no_record_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baseline_build, "MAX_BYTES", 5_000)

    with pytest.raises(ConfigurationError, match=r"one record holds 5000: .* \(6 columns in 4 cells\)") as refused:
        build_baseline("loans", spec(segments=["channel"]), loans(3_000))

    assert refused.value.path == "models.loans.reference"


def test_progress_goes_from_reading_to_built() -> None:
    steps: list[tuple[str, float]] = []

    build_baseline("loans", spec(), loans(1_000), lambda step, share: steps.append((step, share)))

    assert steps[0] == ("reading", 0.0)
    assert steps[-1] == ("built", 1.0)
    assert [share for _, share in steps] == sorted(share for _, share in steps)


def unsteady(name: str) -> set[str]:
    found = shipped.baseline(name)
    return {column.name for place, column in enumerate(found.columns) if found.arming.unsteady[place, 0]}


@pytest.mark.parametrize("name", ["car_loan", "sea_abrupt"])
def test_clean_sets_have_no_unsteady_column_and_every_detector(name: str) -> None:
    found = shipped.baseline(name)

    assert unsteady(name) == set()
    assert found.share_armed(segments=False) == 1.0
    assert {(s.page_hinkley, s.adwin) for s in found.sequential} == {("", "")}
    assert float(found.arming.phi[:, 0].max()) < 1.3


def test_the_seasonal_set_knows_its_seasons() -> None:
    assert unsteady("bikes") == {"temp", "atemp", "humidity", "prediction", "weather"}
