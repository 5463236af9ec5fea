"""What detection says of columns that break naive rules: a reference, then traffic, then pages or none."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.detector.report import ListSink
from services.detector.statistics.verdict import judge
from services.detector.structs import FloatArray
from shared.events.alert import Incident, IncidentKind
from tests.truth.streams import DAY_MS, START_MS, Law, Rows, Stream, category, levels, lognormal, normal, number
from tests.truth.twins import twin
from tests.truth.watching import Prepared, Watched, spec_of

PER_DAY = 10_000
REFERENCE_ROWS = 24_000  # two whole cycles and a bit
ROWS, WARM = 20_000, 3_400
ZIPF = np.arange(1.0, 51.0) ** -1.0
ZIPF /= ZIPF.sum()


def prepared(law: Law, rows: int = REFERENCE_ROWS) -> tuple[Prepared, Stream]:
    """Return the baseline of a model with one column besides a normal one, and its traffic."""
    stream = Stream({"odd": law, "usual": normal()}, {}, PER_DAY)
    return Prepared(spec_of(stream), stream.reference(1, rows)), stream


def steady(law: Law) -> Watched:
    """Return the watch after traffic like the reference."""
    model, stream = prepared(law)
    watched = model.watch()
    watched.feed(stream, np.random.default_rng(2), ROWS)
    return watched


def changed(before: Law, after: Law, rows: int = ROWS, reference_rows: int = REFERENCE_ROWS) -> Watched:
    """Return the watch after traffic whose odd column is another from row `WARM` on."""
    model, stream = prepared(before, reference_rows)
    watched, rng = model.watch(), np.random.default_rng(2)
    watched.feed(stream, rng, WARM)
    watched.feed(stream.but({"odd": after}), rng, rows)
    return watched


def constant(value: float | None) -> Law:
    return lambda _, rows: pa.array([value] * rows.count, pa.float64())


def drawn(*values: float) -> Law:
    return number(lambda rng, rows: rng.choice(np.array(values), rows.count))


def drift(watched: Watched) -> Incident:
    """Return the one page, which names the odd column alone."""
    (page,) = watched.pages
    assert {culprit.feature for culprit in page.culprits} == {"odd"}
    assert {culprit.feature for culprit in watched.latest[page.incident_id].culprits} == {"odd"}
    return page


@pytest.mark.parametrize("place", [0, 5, 9])
def test_a_window_of_one_event_is_no_test(place: int) -> None:
    window = np.zeros(10, np.int64)
    window[place] = 1

    verdict = judge(window, np.full(10, 5_000), ordered=True)

    assert (verdict.p_value, verdict.psi, verdict.df) == (1.0, 0.0, 0)


def test_an_empty_bin_is_bounded_and_its_size_decides() -> None:
    reference = np.array([500, 24_750, 24_750])
    rare, common = (judge(np.array(window), reference, ordered=True) for window in ([0, 500, 500], [500, 0, 500]))

    assert -0.01 < rare.psi_debiased < 0.1
    assert rare.p_value > 1e-4
    assert 0.25 < common.psi_debiased < 10
    assert common.p_value < 1e-6


def test_a_rare_level_that_is_gone_is_told_of_by_its_rate_and_by_no_window() -> None:
    watched = changed(category(np.array([0.495, 0.495, 0.01])), category(np.array([0.5, 0.5, 0.0])))

    assert {culprit.detector for culprit in drift(watched).culprits} == {"rare_levels"}
    assert watched.detections("psi") == 0


def test_a_few_of_a_level_never_seen_do_not_page() -> None:
    assert changed(category(np.array([0.5, 0.5])), category(np.array([0.4995, 0.4995, 0.001]))).pages == []


def test_many_of_a_level_never_seen_are_an_incident_of_quality() -> None:
    watched = changed(category(np.array([0.5, 0.5])), category(np.array([0.47, 0.47, 0.06])))

    assert [page.kind for page in watched.pages] == [IncidentKind.DATA_QUALITY]


def test_a_constant_column_that_stays_constant_does_not_page() -> None:
    model, _ = prepared(constant(7.0))

    assert model.why_not("odd") == "nearly all rows hold one value: nothing to compare"
    assert steady(constant(7.0)).pages == []


def test_a_constant_column_that_takes_another_value_pages_once() -> None:
    page = drift(changed(constant(7.0), constant(8.0)))

    assert page.detected.row < WARM + 300


def test_a_column_without_values_does_not_page() -> None:
    model, _ = prepared(constant(None))

    assert model.why_not("odd") == "the reference has no values"
    assert steady(constant(None)).pages == []


def test_a_column_that_goes_missing_is_an_incident_of_quality() -> None:
    watched = changed(normal(), constant(None))

    assert [page.kind for page in watched.pages] == [IncidentKind.DATA_QUALITY]


def test_a_column_that_comes_back_after_it_went_missing_is_as_it_was() -> None:
    model, stream = prepared(normal())
    watched, rng = model.watch(), np.random.default_rng(2)
    for law in (normal(), constant(None), normal()):
        watched.feed(stream.but({"odd": law}), rng, 5_000)

    assert {page.kind for page in watched.pages} <= {IncidentKind.DATA_QUALITY}


def tied(zeros: float) -> Law:
    """Return a column of mostly zeros, else small whole numbers."""
    return number(lambda rng, rows: np.where(rng.random(rows.count) < zeros, 0.0, rng.poisson(3.0, rows.count)))


def test_heavy_ties_do_not_page() -> None:
    assert steady(tied(0.95)).pages == []


def test_a_change_among_heavy_ties_pages() -> None:
    page = drift(changed(tied(0.9), tied(0.6)))

    assert page.detected.row < WARM + 2_000


def test_the_debiased_psi_of_fifty_zipf_levels_is_nothing_in_the_mean() -> None:
    rng = np.random.default_rng(1)
    reference = rng.multinomial(50_000, ZIPF)

    found = [judge(window, reference, ordered=False).psi_debiased for window in rng.multinomial(500, ZIPF, 3_000)]

    assert abs(float(np.mean(found))) < 0.002


def test_a_reference_smaller_than_a_window_does_not_page_on_windows() -> None:
    model, _ = prepared(normal(), rows=300)

    assert model.why_not("odd") == "reference is thin (300 rows; needs 10000)"
    watched = changed(normal(), normal(3.0), rows=5_000, reference_rows=300)
    assert watched.detections("psi") == 0
    assert watched.detections("page_hinkley") == 0


def autocorrelated(rng: np.random.Generator, rows: Rows) -> pa.Array:
    """Return AR(1) of .9 with unit variance."""
    found, value = np.empty(rows.count), float(rng.normal())
    for place, noise in enumerate(rng.normal(0.0, np.sqrt(1 - 0.9**2), rows.count).tolist()):
        value = 0.9 * value + noise
        found[place] = value
    return pa.array(found)


def test_an_autocorrelated_column_does_not_page() -> None:
    assert steady(autocorrelated).pages == []


def daily(amplitude: float) -> Law:
    def values(rng: np.random.Generator, rows: Rows) -> FloatArray:
        cycle: FloatArray = amplitude * np.sin(2 * np.pi * (rows.ts - START_MS) / DAY_MS)
        return cycle + rng.normal(0.0, 1.0, rows.count)

    return number(values)


@pytest.mark.parametrize("amplitude", [0.35, 1.0])
def test_a_daily_cycle_that_the_reference_shows_does_not_page(amplitude: float) -> None:
    assert steady(daily(amplitude)).pages == []


def test_another_unit_pages_within_the_events_that_any_effect_needs() -> None:
    page = drift(changed(lognormal(3, 0.5), lognormal(3 + np.log(1_000), 0.5)))

    assert page.detected.row < WARM + 300
    assert abs(page.onset.row - WARM) < 50


def test_the_largest_numbers_page_and_stay_finite() -> None:
    sink = ListSink()
    model, stream = prepared(normal())
    watched, rng = model.watch(sink), np.random.default_rng(2)
    watched.feed(stream, rng, WARM)
    watched.feed(stream.but({"odd": drawn(1e308, -1e308)}), rng, 5_000)

    drift(watched)
    figures = [value for row in sink.windows for value in (row.psi, row.ks_stat, row.wasserstein_norm, row.p_value)]
    assert np.isfinite([value for value in figures if value is not None]).all()


def test_a_few_of_the_largest_numbers_do_not_page() -> None:
    def now_and_then(rng: np.random.Generator, rows: Rows) -> pa.Array:
        return pa.array(np.where(rng.random(rows.count) < 0.001, 1e308, rng.normal(0.0, 1.0, rows.count)))

    assert changed(normal(), now_and_then).pages == []
    assert steady(now_and_then).pages == []


def test_subnormal_numbers_are_numbers() -> None:
    def tiny(factor: int) -> Law:
        return number(lambda rng, rows: np.float64(5e-324) * (rng.integers(1, 1_000, rows.count) * factor))

    assert steady(tiny(1)).pages == []
    drift(changed(tiny(1), tiny(2)))


def test_negative_zero_is_zero() -> None:
    assert changed(drawn(-1.0, 0.0, 1.0), drawn(-1.0, -0.0, 1.0)).pages == []


def test_ids_as_a_category_are_ignored_and_said_to_be() -> None:
    def ids(_: np.random.Generator, rows: Rows) -> pa.Array:
        return levels(np.arange(rows.count), tuple(f"id-{n}" for n in rows.numbers.tolist()))

    model, _ = prepared(ids)

    assert model.why_not("odd") == "an identifier: 100% of its values occur once"
    assert steady(ids).pages == []


def test_a_permuted_twin_has_nothing_to_say() -> None:
    assert twin("bikes", 0) == (0, 0)
