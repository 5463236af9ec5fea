"""What is promised before anything runs: by hand where it can be, else against what it is computed from."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pytest
from scipy.stats import chi2

from services.detector.banks.detections import Gate
from services.detector.banks.page_hinkley import PageHinkleyBank
from services.detector.baseline import GATE_PSI, Baseline
from services.detector.baseline_build import build_baseline
from services.detector.budget import PRESENT, WEEKS_PER_MONTH, Kind, WindowLevels, cusum_run_length, shares
from services.detector.forecast import CellForecast, Forecast, forecast
from services.detector.outlook.kinds import outlook
from services.detector.outlook.sequential import false_means, mean_found, rank_found
from services.detector.outlook.series import Binds
from services.detector.outlook.windows import ArmedWindows, WindowPower, power_of
from shared.monitors import AlertsSpec, ModelSpec
from tests.kit.references import loans, spec

SPEC = spec(segments=["channel"], events_per_week=20_000, cycle="none")


@cache
def baseline(false_pages_per_month: float = 2.0) -> Baseline:
    return build_baseline("loans", budgeted(false_pages_per_month), loans())


@cache
def of_loans(false_pages_per_month: float = 2.0) -> Forecast:
    return forecast(baseline(false_pages_per_month), budgeted(false_pages_per_month))


def budgeted(false_pages_per_month: float) -> ModelSpec:
    return msgspec.structs.replace(SPEC, alerts=AlertsSpec(false_pages_per_month=false_pages_per_month))


def cell(name: str, segment: str = "all", found: Forecast | None = None) -> CellForecast:
    (only,) = [one for one in (found or of_loans()).cells if (one.name, one.segment) == (name, segment)]
    return only


def one_window(rows: int, bins: int, levels: WindowLevels, *, phi: float = 1.0, weekly: float = 1.0) -> WindowPower:
    """Return the power of one window of `rows` rows over even bins, of a reference of 50,000."""
    unit = (1 / rows + 1 / 50_000) * phi
    even = [np.full(bins, 1 / bins)]
    return power_of(
        ArmedWindows([(0, 0)], even, np.array([unit]), np.array([50_000.0]), np.array([weekly]), np.full(1, GATE_PSI)),
        levels,
    )


MANY_WINDOWS = WindowLevels(single=1e-7, running=3e-4)


def test_the_gate_binds_a_thousand_rows_over_deciles_and_is_never_passed_by_chance() -> None:
    found = one_window(1_000, 10, MANY_WINDOWS)
    unit = 1 / 1_000 + 1 / 50_000  # .00102, so that the gate is at .1 + 9 * .00102 = .10918: 107 of these

    assert found.is_gate.tolist() == [True]
    assert found.chance[0] == pytest.approx(chi2.sf(0.10918 / unit, 9), rel=1e-6)
    assert found.chance[0] < 1e-18
    assert found.psi[0] == pytest.approx(0.1, abs=0.002)


def test_the_budget_binds_five_hundred_rows_over_fifty_levels() -> None:
    found = one_window(500, 50, MANY_WINDOWS)
    unit = 1 / 500 + 1 / 50_000  # .00202: the gate is at .1 + 49 * .00202 = .199, the p-level at .26

    assert found.is_gate.tolist() == [False]
    assert found.chance[0] < chi2.sf(0.199 / unit, 49) / 100
    assert found.psi[0] == pytest.approx(0.16, abs=0.01)


def test_a_p_level_never_is_worth_more_than_its_share() -> None:
    for rows, bins in ((500, 50), (500, 10), (1_000, 10)):
        assert one_window(rows, bins, MANY_WINDOWS).chance[0] <= MANY_WINDOWS.single + MANY_WINDOWS.running**2


def test_two_windows_a_week_find_what_one_cannot() -> None:
    one, two = (one_window(500, 50, MANY_WINDOWS, weekly=weekly).psi[0] for weekly in (1.9, 2.0))

    assert two < one


def test_windows_that_scatter_more_find_less() -> None:
    steady, scattered = (one_window(1_000, 10, MANY_WINDOWS, phi=phi).psi[0] for phi in (1.0, 8.0))

    assert scattered > 1.5 * steady


def test_page_hinkley_needs_the_gate_or_what_adds_up_to_its_threshold() -> None:
    assert mean_found(24.0, 1_000) == (0.32, Binds.GATE)  # .25 + 24 / 1,000 = .274
    needed, binds = mean_found(24.0, 200)  # .25 + 24 / 200
    assert (round(needed, 9), binds) == (0.37, Binds.BUDGET)


def test_adwin_needs_the_gate_or_its_bound() -> None:
    many, few = rank_found(2e-9, 7_000_000), rank_found(2e-9, 400)

    assert (round(many.sd, 3), many.binds) == (0.322, Binds.GATE)
    # (1/2,000 + 1/400) ln(2 ln 2,400 / 2e-9) = .0683, so that the mean rank must move by .152: .554 sd
    assert (round(few.sd, 3), few.binds) == (0.554, Binds.BUDGET)


def test_gated_page_hinkley_is_wrong_no_more_often_than_is_said() -> None:
    values = np.random.default_rng(84).normal(size=(20_000, 50))
    bank = PageHinkleyBank.verdict(np.full(50, 9.0), Gate(200, np.full(50, 0.32), np.zeros(50)))

    bound = false_means(9.0)

    assert bound < 1 / cusum_run_length(9.0, 0.25) / 10
    assert len(bank.update(values)) <= values.size * bound


def test_where_the_threshold_is_high_the_share_is_the_bound() -> None:
    assert false_means(43.0) == 1 / cusum_run_length(43.0, 0.25)


def test_checks_of_quality_may_spend_their_share() -> None:
    everything = shares(2.0, Kind)

    found = outlook(Kind.DATA_QUALITY, baseline(), everything)

    assert (found.false_per_week, found.is_bound, found.series) == (everything.data_quality, True, [])


def test_what_all_kinds_expect_stays_within_the_promise() -> None:
    found = of_loans()

    assert list(found.kinds) == [kind.value for kind in PRESENT]
    assert sum(pages.promised for pages in found.kinds.values()) == pytest.approx(2.0)
    assert found.false_pages.expected == pytest.approx(sum(pages.expected for pages in found.kinds.values()))
    assert all(pages.expected <= pages.promised * 1.001 for pages in found.kinds.values())
    assert found.kinds["windows"].expected < 0.01
    assert not found.kinds["windows"].is_bound


def test_a_larger_budget_expects_more_and_finds_smaller_losses() -> None:
    frugal, generous = of_loans(), of_loans(200.0)
    before, after = (cell("error", found=found).smallest for found in (frugal, generous))

    assert generous.false_pages.expected > frugal.false_pages.expected
    assert before is not None
    assert after is not None
    assert (after.rate or 1) < (before.rate or 0)


def test_every_cell_is_there_and_all_traffic_comes_first() -> None:
    names = [column.name for column in baseline().columns]
    monitors = ["error", "false_negative", "false_positive", "roc_auc", "calibration"]

    found = [(one.name, one.segment) for one in of_loans().cells]

    assert found == [(name, "all") for name in [*names, *monitors]] + [
        (name, segment) for segment in baseline().cells[1:] for name in names
    ]


def test_a_numeric_column_is_found_by_whichever_detector_sees_less() -> None:
    amount = cell("amount")

    assert {"psi", "page_hinkley", "adwin"} <= set(amount.armed)
    assert amount.finds["page_hinkley"].sd == 0.32
    assert amount.finds["page_hinkley"].psi == pytest.approx(0.098, abs=0.001)
    assert amount.smallest == amount.finds[amount.found_by]
    assert amount.smallest.psi == min(found.psi or 1 for found in amount.finds.values())


def test_a_category_is_found_as_psi_and_an_error_as_a_rate() -> None:
    region, error = cell("region"), cell("error")

    assert region.finds["psi"].sd is None
    assert region.finds["psi"].psi == pytest.approx(0.1, abs=0.003)
    assert error.found_by == "lr_cusum"
    assert error.smallest is not None
    assert error.smallest.reference_rate == pytest.approx(0.1, abs=0.01)
    assert 0.1 < (error.smallest.rate or 0) < 0.15


def test_a_cell_that_may_not_page_says_why() -> None:
    other = cell("region", "channel=__other__")

    assert (other.armed, other.smallest, other.found_by) == ([], None, "")
    assert other.why_not["psi"] == "the reference has no values"


def test_a_window_that_does_not_fill_in_a_week_finds_nothing_in_it() -> None:
    slow = msgspec.structs.replace(baseline(), rows_per_week=400.0)

    series = outlook(Kind.WINDOWS, slow, shares(2.0)).series
    found = next(one for one in series if one.name == "region")

    assert (found.sight, found.why_blind) == (None, "1000 rows take 2.5 weeks, then PSI 0.10")


def test_sequential_detectors_need_two_hundred_events_a_week() -> None:
    slow = msgspec.structs.replace(baseline(), rows_per_week=150.0)

    series = outlook(Kind.PAGE_HINKLEY, slow, shares(2.0)).series

    assert {one.why_blind for one in series if not one.why_not} == {"a week brings 150 events, 200 are needed"}


def test_what_binds_is_counted_by_kind_of_cell() -> None:
    counted = {(one.detector, one.scope, one.kind): (one.armed, one.gate, one.budget) for one in of_loans().binding}

    assert counted["psi", "all traffic", "categorical"] == (3, 3, 0)
    assert counted["lr_cusum", "all traffic", "performance"] == (3, 0, 3)
    assert counted["psi", "segments", "numeric"][0] == sum(counted["psi", "segments", "numeric"][1:])


def test_a_month_is_thirty_sevenths_of_a_week() -> None:
    week = outlook(Kind.PERFORMANCE, baseline(), shares(2.0)).false_per_week

    assert of_loans().kinds["performance"].expected == pytest.approx(week * WEEKS_PER_MONTH)
