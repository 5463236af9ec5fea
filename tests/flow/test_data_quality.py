"""What is told of rows that are not as they should be: one incident for each thing that broke, and none for nothing."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.cli.verify.recount import recount
from shared.events.alert import Action, IncidentEvent, IncidentKind, Severity
from shared.events.block import FLAG_TYPE_ERROR, TS
from tests.kit.data_quality import STREAM, WARM, broken, emails, nulls_in_segment, prepared, whole, with_nulls
from tests.truth.streams import (
    DAY_MS,
    Law,
    Rows,
    Stream,
    category,
    levels,
    lognormal,
    normal,
    number,
)
from tests.truth.watching import Prepared, spec_of


def test_traffic_like_the_reference_says_nothing() -> None:
    assert broken({}, 30_000).latest == {}


def test_a_column_without_values_is_one_alert_that_says_fix_the_pipeline() -> None:
    watched = broken({"amount": number(lambda _, rows: np.full(rows.count, np.nan))})

    (page,) = watched.pages
    assert list(watched.latest) == [page.incident_id]
    assert (page.kind, page.severity) == (IncidentKind.DATA_QUALITY, Severity.CRITICAL)
    assert page.recommended_action is Action.FIX_PIPELINE
    assert page.cause.startswith("amount has no value in 100.0% of rows: fix what sends it")
    assert (page.onset.row, page.detected.row) == (WARM, WARM + 99)
    assert {(c.feature, c.segment) for c in watched.latest[page.incident_id].culprits} == {("amount", "all")}


def test_a_category_that_is_missing_more_often_is_no_drift() -> None:
    watched = broken({"colour": with_nulls(category(np.array([0.6, 0.3, 0.1])), 0.6)})

    (page,) = watched.pages
    assert (page.kind, {c.feature for c in page.culprits}) == (IncidentKind.DATA_QUALITY, {"colour"})
    assert page.detected.row < WARM + 200


def test_columns_that_break_together_are_one_incident_and_later_ones_another() -> None:
    watched, rng = prepared().watch(), np.random.default_rng(2)
    gone = number(lambda _, rows: np.full(rows.count, np.nan))
    watched.feed(STREAM, rng, WARM)
    together = STREAM.but({"amount": gone, "until": gone})
    watched.feed(together, rng, 4_000)
    watched.feed(together.but({"age": gone}), rng, 2_000)

    first, second = watched.pages
    assert {c.feature for c in watched.latest[first.incident_id].culprits} == {"amount", "until"}
    assert {c.feature for c in second.culprits} == {"age"}


@pytest.mark.parametrize(
    ("columns", "feature", "statistic"),
    [
        ({"age": whole(-2)}, "age >= 0", "broken_rate"),
        (
            {"until": number(lambda rng, rows: 20.0 + rng.random(rows.count))},
            "age < until",
            "broken_rate",
        ),
        ({"email": emails(0.05)}, "email", "format_error_rate"),
        ({"colour": category(np.array([0.6, 0.3, 0.05, 0.05]))}, "colour", "new_category_rate"),
    ],
)
def test_each_break_is_told_by_its_name(columns: dict[str, Law], feature: str, statistic: str) -> None:
    told = [data for data in broken(columns).latest.values() if data.kind is IncidentKind.DATA_QUALITY]

    assert (feature, statistic) in {(c.feature, c.statistic) for data in told for c in data.culprits}


def test_a_few_numbers_far_out_are_told_of_where_no_drift_is() -> None:
    def far(rng: np.random.Generator, rows: Rows) -> pa.Array:
        return pa.array(np.where(rng.random(rows.count) < 0.02, 1_000.0, rng.normal(0.0, 1.0, rows.count)))

    (page,) = broken({"amount": far}).pages

    assert [(c.feature, c.statistic) for c in page.culprits] == [("amount", "outlier_rate")]


def test_numbers_outside_the_range_that_the_reference_has_are_told_of() -> None:
    def older(rng: np.random.Generator, rows: Rows) -> pa.Array:
        return pa.array(np.where(rng.random(rows.count) < 0.02, 90.0, rng.integers(18, 80, rows.count)))

    (page,) = broken({"age": older}, 3_000).pages

    assert [(c.feature, c.statistic) for c in page.culprits] == [("age", "outlier_rate")]


def constant(value: float, other: float, share: float) -> Law:
    """Return a column that holds one number, but for a share of rows."""
    return number(lambda rng, rows: np.where(rng.random(rows.count) < share, other, value))


def constant_text(share: float) -> Law:
    return lambda rng, rows: levels((rng.random(rows.count) < share).astype(np.int64), ("eur", "usd"))


@pytest.mark.parametrize("share", [0.02, 1.0])
@pytest.mark.parametrize(
    ("name", "law", "statistic"),
    [
        ("rate", lambda share: constant(3.0, 4.0, share), "outlier_rate"),
        ("currency", constant_text, "new_category_rate"),
    ],
)
def test_a_constant_column_that_wakes_up_is_told_of(
    name: str, law: Callable[[float], Law], statistic: str, share: float
) -> None:
    stream = Stream({"amount": normal(), name: law(0.0)}, {}, per_day=10_000)
    watched, rng = Prepared(spec_of(stream), stream.reference(1, 12_000)).watch(), np.random.default_rng(2)
    watched.feed(stream, rng, 1_000)
    assert watched.latest == {}
    watched.feed(stream.but({name: law(share)}), rng, 3_000)

    told = [data for data in watched.latest.values() if data.kind is IncidentKind.DATA_QUALITY]
    assert (name, statistic) in {(c.feature, c.statistic) for data in told for c in data.culprits}


def pareto(rng: np.random.Generator, rows: Rows) -> pa.Array:
    """Return a column without a mean."""
    return pa.array(rng.pareto(0.8, rows.count))


def test_a_quiet_heavy_tail_says_nothing() -> None:
    stream = Stream({"amount": lognormal(8.0, 2.0), "pareto": pareto}, {}, per_day=10_000)
    watched = Prepared(spec_of(stream), stream.reference(1, 5_000)).watch()

    watched.feed(stream, np.random.default_rng(2), 60_000)

    assert watched.latest == {}


TWO_COLOURS = with_nulls(category(np.array([0.65, 0.35])), 0.02)


def test_a_category_that_comes_no_more_is_drift() -> None:
    watched = broken({"colour": TWO_COLOURS}, 4_000)

    (page,) = watched.pages
    assert list(watched.latest) == [page.incident_id]
    assert (page.kind, page.culprits[0].feature) == (IncidentKind.DATA_DRIFT, "colour")


def test_a_category_that_comes_no_more_is_named_where_drift_does_not_tell_of_it() -> None:
    watched = broken({"colour": TWO_COLOURS}, 3_000, may_drift=False)

    (page,) = watched.pages
    (culprit,) = [c for c in watched.latest[page.incident_id].culprits if c.statistic == "vanished_category_rate"]
    assert (page.kind, page.recommended_action) == (IncidentKind.DATA_QUALITY, Action.FIX_PIPELINE)
    assert (culprit.feature, culprit.segment, [one.name for one in culprit.bins]) == ("colour", "all", ["level-02"])
    assert page.cause.startswith("colour is level-02 in no row any more, as in 9.")
    assert WARM + 2_000 <= page.detected.row < WARM + 2_200


def test_a_category_that_comes_again_ends_its_incident_after_three_windows() -> None:
    watched, rng = prepared(may_drift=False).watch(), np.random.default_rng(2)
    watched.feed(STREAM, rng, WARM)
    watched.feed(STREAM.but({"colour": TWO_COLOURS}), rng, 2_600)
    assert watched.is_open
    watched.feed(STREAM, rng, 4_000)

    assert not watched.is_open
    assert len(watched.pages) == 1


def test_every_number_of_a_break_is_recounted() -> None:
    other = with_nulls(category(np.array([0.6, 0.25, 0.0, 0.15])), 0.02)
    watched, rng = prepared().watch(), np.random.default_rng(2)
    watched.feed(STREAM, rng, WARM)
    watched.feed(STREAM.but({"colour": other, "amount": nulls_in_segment(1, 0.2), "age": whole(-2)}), rng, 4_000)

    found = [
        number
        for data in watched.latest.values()
        for number in recount(IncidentEvent.UPDATED, data, None, prepared().baseline)
    ]

    told = {culprit.statistic for data in watched.latest.values() for culprit in data.culprits}
    assert told >= {"new_category_rate", "vanished_category_rate", "missing_rate", "broken_rate"}
    assert [number for number in found if number.differs] == []
    assert [number for number in found if number.needs and number.of.endswith(", quality")] == []


def test_a_number_of_a_break_that_does_not_follow_is_named() -> None:
    (page,) = broken({"amount": number(lambda _, rows: np.full(rows.count, np.nan))}, 200).pages
    (culprit,) = page.culprits
    wrong = msgspec.structs.replace(culprit, threshold=0.5, value=0.9951)
    data = msgspec.structs.replace(page, culprits=[wrong])

    found = recount(IncidentEvent.OPENED, data, None, prepared().baseline)

    assert {one.name for one in found if one.differs} >= {"threshold", "value (missing_rate)"}


def test_a_break_that_is_mended_resolves_after_three_windows() -> None:
    watched, rng = prepared().watch(), np.random.default_rng(2)
    for columns, rows in (({}, WARM), ({"amount": number(lambda _, rows: np.full(rows.count, np.nan))}, 600)):
        watched.feed(STREAM.but(columns), rng, rows)
    watched.feed(STREAM, rng, 2_900)
    assert watched.is_open
    watched.feed(STREAM, rng, 100)
    assert not watched.is_open
    assert len(watched.pages) == 1


def test_values_of_another_type_are_told_of_and_not_missed_as_well() -> None:
    watched, rng = prepared().watch(), np.random.default_rng(2)
    gone = STREAM.but({"amount": number(lambda _, rows: np.full(rows.count, np.nan))})
    watched.feed(STREAM, rng, WARM)
    for batch in gone.batches(rng, WARM, 600):
        flags = pa.array(np.full(batch.num_rows, FLAG_TYPE_ERROR, np.uint8))
        watched.serve(batch.append_column("flags:amount", flags))

    (page,) = watched.pages
    assert [(c.feature, c.statistic) for c in page.culprits] == [("amount", "type_error_rate")]


@pytest.mark.parametrize(("off", "statistic"), [(-30 * DAY_MS, "stale_rate"), (30 * DAY_MS, "early_rate")])
def test_times_that_others_do_not_have_are_told_of(off: int, statistic: str) -> None:
    watched, rng = prepared().watch(), np.random.default_rng(2)
    watched.feed(STREAM, rng, WARM)
    for batch in STREAM.batches(rng, WARM, 4_000):
        ts = batch.column(TS).to_numpy() + np.where(rng.random(batch.num_rows) < 0.1, off, 0)
        watched.serve(batch.set_column(batch.schema.get_field_index(TS), TS, pa.array(ts)))

    (page,) = watched.pages
    assert [(c.feature, c.statistic) for c in page.culprits] == [("ts", statistic)]


def test_a_silence_makes_no_row_early() -> None:
    watched, rng = prepared().watch(), np.random.default_rng(2)
    watched.feed(STREAM, rng, WARM)
    for batch in STREAM.batches(rng, WARM, 4_000):
        ts = batch.column(TS).to_numpy() + 10 * DAY_MS
        watched.serve(batch.set_column(batch.schema.get_field_index(TS), TS, pa.array(ts)))

    assert watched.pages == []


def test_rows_that_are_sent_again_and_again_are_told_of() -> None:
    watched, rng = prepared().watch(), np.random.default_rng(2)
    watched.feed(STREAM, rng, WARM)
    for batch in STREAM.batches(rng, WARM, 2_000):
        place = np.arange(batch.num_rows)
        again = np.where(rng.random(batch.num_rows) < 0.3, np.maximum(place - 40, 0), place)
        for name in (f"f:{column}" for column in STREAM.columns):
            at = batch.schema.get_field_index(name)
            batch = batch.set_column(at, name, batch.column(name).take(pa.array(again)))  # noqa: PLW2901
        watched.serve(batch)

    (page,) = [page for page in watched.pages if page.kind is IncidentKind.DATA_QUALITY]
    assert ("rows", "duplicate_rate") in {(c.feature, c.statistic) for c in page.culprits}


@pytest.mark.parametrize("cut", [1, 7, 313])
def test_how_rows_are_cut_into_blocks_changes_nothing(cut: int) -> None:
    def told(cut: int) -> list[tuple[str, int, int, float]]:
        watched, rng = prepared().watch(), np.random.default_rng(2)
        (whole,) = STREAM.but({"amount": nulls_in_segment(1, 0.5)}).batches(rng, 0, 1_500)
        for start in range(0, whole.num_rows, cut):
            watched.serve(whole.slice(start, cut))
        return [(p.kind.value, p.onset.row, p.detected.row, p.culprits[0].value) for p in watched.pages]

    assert told(cut) == told(1_500)
    assert len(told(1_500)) == 1


def test_a_watch_goes_on_from_its_state() -> None:
    watched, rng = prepared().watch(), np.random.default_rng(2)
    watched.feed(STREAM, rng, WARM)
    fork, same = watched.fork(), np.random.default_rng(5)
    for one, own in ((watched, same), (fork, np.random.default_rng(5))):
        one.feed(STREAM.but({"amount": nulls_in_segment(1, 0.5)}), own, 2_000)

    assert [page.detected for page in fork.pages] == [page.detected for page in watched.pages]
    assert len(fork.pages) == 1
