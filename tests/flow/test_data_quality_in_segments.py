"""What is told of rows that are not as they should be in one segment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from services.detector.statistics.arrays import BoolArray
from services.detector.structs import IntArray
from shared.events.alert import IncidentKind
from shared.events.block import TS
from tests.kit.data_quality import SEGMENTS, STREAM, WARM, broken, nulls_in_segment, prepared
from tests.truth.streams import (
    DAY_MS,
    Rows,
    even_segments,
    normal,
    segment_of,
)
from tests.truth.watching import Prepared, Watched, spec_of


def test_what_breaks_in_one_segment_is_told_of_it() -> None:
    watched = broken({"amount": nulls_in_segment(1, 0.015)}, 20_000)

    (page,) = watched.pages
    assert page.kind is IncidentKind.DATA_QUALITY
    latest = watched.latest[page.incident_id]
    assert {(c.feature, c.segment) for c in latest.culprits} == {("amount", "shop=level-01")}
    assert latest.inside_segments == []


def in_one_segment(batch: pa.RecordBatch, first: int) -> BoolArray:
    """Return which rows are in the segment that breaks."""
    found: BoolArray = segment_of(np.arange(first, first + batch.num_rows), SEGMENTS) == 1
    return found


@pytest.mark.parametrize(("off", "statistic"), [(-30 * DAY_MS, "stale_rate"), (30 * DAY_MS, "early_rate")])
def test_times_that_one_segment_has_wrong_are_told_of_it(off: int, statistic: str) -> None:
    watched, rng = prepared().watch(), np.random.default_rng(2)
    watched.feed(STREAM, rng, WARM)
    for batch in STREAM.batches(rng, WARM, 12_000):
        is_off = in_one_segment(batch, watched.rows) & (rng.random(batch.num_rows) < 0.016)
        ts = batch.column(TS).to_numpy() + np.where(is_off, off, 0)
        watched.serve(batch.set_column(batch.schema.get_field_index(TS), TS, pa.array(ts)))

    (page,) = watched.pages
    assert [(c.feature, c.segment, c.statistic) for c in page.culprits] == [("ts", "shop=level-01", statistic)]


def test_numbers_far_out_in_one_segment_are_told_of_it() -> None:
    def far(rng: np.random.Generator, rows: Rows) -> pa.Array:
        is_far = (segment_of(rows.numbers, SEGMENTS) == 1) & (rng.random(rows.count) < 0.016)
        return pa.array(np.where(is_far, 1_000.0, rng.normal(0.0, 1.0, rows.count)))

    (page,) = broken({"amount": far}, 12_000).pages

    assert [(c.feature, c.segment, c.statistic) for c in page.culprits] == [("amount", "shop=level-01", "outlier_rate")]


def test_a_drift_in_one_segment_is_drift_and_not_its_outliers() -> None:
    def moved(rng: np.random.Generator, rows: Rows) -> pa.Array:
        by = np.where(segment_of(rows.numbers, SEGMENTS) == 1, 2.0, 0.0)
        return pa.array(rng.normal(0.0, 1.0, rows.count) + by)

    watched = broken({"amount": moved}, 12_000)

    assert {page.kind for page in watched.pages} == {IncidentKind.DATA_DRIFT}


NEW_SHOP = "shop=level-04"


def with_another_shop(is_broken: Callable[[IntArray], BoolArray]) -> Watched:
    """Return the watch of traffic to a fifth shop, some of whose rows have no amount."""

    def amounts(rng: np.random.Generator, rows: Rows) -> pa.Array:
        found = rng.normal(0.0, 1.0, rows.count)
        is_gone = (segment_of(rows.numbers, 5) == 4) & is_broken(rows.numbers) & (rng.random(rows.count) < 0.016)
        found[is_gone] = np.nan
        return pa.array(found)

    stream = replace(STREAM, segments={"shop": even_segments(5)}).but({"until": amounts})
    found = Prepared(spec_of(STREAM), STREAM.but({"until": normal()}).reference(1, 24_000)).watch()
    found.feed(stream, np.random.default_rng(2), 35_000)
    return found


def quality_of(watched: Watched) -> set[tuple[str, str, str]]:
    told = [data for data in watched.latest.values() if data.kind is IncidentKind.DATA_QUALITY]
    return {(c.feature, c.segment, c.statistic) for data in told for c in (*data.culprits, *data.inside_segments)}


def test_a_new_segment_may_lack_values_from_its_beginning() -> None:
    told = quality_of(with_another_shop(lambda numbers: numbers >= 0))

    assert {feature for feature, segment, _ in told if segment == NEW_SHOP} == set()


def test_a_new_segment_that_lacks_values_once_it_is_known_is_told_of() -> None:
    told = quality_of(with_another_shop(lambda numbers: numbers > 27_000))

    assert ("until", NEW_SHOP, "missing_rate") in told
