"""References that show their seasons: windows go by the hour, or by the month, from the first row on."""

from __future__ import annotations

from functools import cache

import numpy as np

from services.cli.armed import report, self_test
from services.detector.baseline import decode, encode
from services.detector.baseline_parts import with_columns
from services.detector.seasons.clock import months_of_year
from tests.truth.streams import DAY_MS, START_MS, Law, Rows, Stream, normal, number
from tests.truth.watching import Prepared, spec_of

PER_DAY = 6_000


def halved(size: float, step: float = 0.0, *, days: int = 1) -> Law:
    """Return a column that is larger in the second half of so many days."""

    def values(rng: np.random.Generator, rows: Rows) -> np.ndarray:
        late = (rows.ts - START_MS) % (days * DAY_MS) >= days * DAY_MS // 2
        return rng.normal(step, 1.0, rows.count) + size * late

    return number(values)


def stream(step: float = 0.0) -> Stream:
    return Stream({"rhythm": halved(1.0, step), "other": halved(1.0, days=10), "steady": normal()}, {}, PER_DAY)


@cache
def prepared(days: int = 21) -> Prepared:
    return Prepared(spec_of(stream()), stream().reference(1, days * PER_DAY))


def test_a_column_that_its_hours_explain_is_season_bound_and_may_page() -> None:
    rhythm, other, steady = report(prepared().baseline).columns

    assert (rhythm.is_armed, rhythm.is_unsteady, rhythm.is_season_bound) == (True, True, True)
    assert rhythm.phi < 1.5
    assert (other.is_armed, other.is_unsteady, other.is_season_bound) == (False, True, False)
    assert other.why_not.startswith("unsteady: its own windows differ by PSI up to")
    assert (steady.is_armed, steady.is_unsteady, steady.is_season_bound) == (True, False, False)
    verdicts = [row[-1] for row in self_test(report(prepared().baseline)).rows]
    assert verdicts[0] == "ok, season-bound: windows by the hour of the week"
    assert verdicts[2] == "ok"


def test_its_sequential_detectors_do_not_run() -> None:
    assert [one.page_hinkley for one in prepared().baseline.sequential][:2] == ["season-bound", "unsteady"]
    assert [one.e_detector for one in prepared().baseline.coded][:2] == ["season-bound", "unsteady"]


def test_less_than_two_weeks_tell_no_season() -> None:
    found = prepared(13).baseline

    assert found.season_bound == []
    assert found.why_not_yet(0, 0).startswith("unsteady")


def test_live_windows_go_by_the_hour_and_a_step_is_found() -> None:
    watched, rng = prepared().watch(), np.random.default_rng(2)
    watched.feed(stream(), rng, 3 * PER_DAY)
    assert watched.pages == []

    start = watched.rows
    watched.feed(stream(step=0.6), rng, 4_000, cut=200, until=lambda: bool(watched.pages))

    (page,) = watched.pages
    assert [(one.feature, one.detector) for one in page.culprits] == [("rhythm", "psi")]
    assert page.detected.row - start < 2_500


def test_a_baseline_with_seasons_reads_back_and_mixes_by_column() -> None:
    old, new = prepared().baseline, prepared(13).baseline

    assert encode(decode(encode(old))) == encode(old)
    assert [bound.column for bound in with_columns(old, new, ["rhythm"]).season_bound] == []
    assert [bound.column for bound in with_columns(new, old, ["rhythm"]).season_bound] == [0]
    assert [bound.column for bound in with_columns(old, new, ["steady"]).season_bound] == [0]


A_DAY = 200  # rows, so that a month of two years holds ten windows


def yearly(step: float = 0.0) -> Stream:
    """Return a column that is larger from July on, and one that was so in one July only."""

    def summer(rng: np.random.Generator, rows: Rows) -> np.ndarray:
        larger: np.ndarray = rng.normal(step, 1.0, rows.count) + (months_of_year(rows.ts) >= 6)
        return larger

    def once(rng: np.random.Generator, rows: Rows) -> np.ndarray:
        was = (rows.ts < START_MS - 365 * DAY_MS) & (months_of_year(rows.ts) == 6)
        values: np.ndarray = rng.normal(0.0, 1.0, rows.count) + was
        return values

    return Stream({"summer": number(summer), "once": number(once)}, {}, A_DAY)


@cache
def of_years(days: int = 731) -> Prepared:
    return Prepared(spec_of(yearly()), yearly().reference(1, days * A_DAY))


def test_two_years_tell_what_goes_by_the_month() -> None:
    summer, once = report(of_years().baseline).columns

    assert (summer.is_armed, summer.is_season_bound, summer.cycle) == (True, True, "year")
    assert (once.is_armed, once.is_season_bound) == (False, False)
    (bound,) = of_years().baseline.season_bound
    assert (bound.cycle, bound.profile.pools.tolist()) == ("year", list(range(12)))
    assert self_test(report(of_years().baseline)).rows[0][-1] == "ok, season-bound: windows by the month of the year"


def test_one_year_tells_no_season_of_months() -> None:
    found = of_years(500).baseline

    assert found.season_bound == []
    assert found.why_not_yet(0, 0).startswith("unsteady")


def test_live_windows_go_by_the_month_and_a_step_is_found() -> None:
    watched, rng = of_years().watch(), np.random.default_rng(2)
    watched.feed(yearly(), rng, 220 * A_DAY)
    assert watched.pages == []

    start = watched.rows
    watched.feed(yearly(step=0.6), rng, 4_000, cut=200, until=lambda: bool(watched.pages))

    (page,) = watched.pages
    assert [(one.feature, one.detector) for one in page.culprits] == [("summer", "psi")]
    assert page.detected.row - start < 2_500
