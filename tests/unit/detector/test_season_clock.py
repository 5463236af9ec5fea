from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from services.detector.seasons.clock import HOURS, hours_of_week, months_of_year, pooled_hours, pooled_months
from services.detector.seasons.pace import SETTLED_ROWS, Pace, why_other_rate
from services.detector.stream_time import WIDTH, StreamTime
from services.detector.structs import IntArray

HOUR_MS = 3_600_000


@pytest.mark.parametrize(
    ("at", "hour"),
    [
        (datetime(2024, 1, 1, 0, 0, tzinfo=UTC), 0),  # a Monday
        (datetime(2024, 1, 1, 23, 59, 59, tzinfo=UTC), 23),
        (datetime(2024, 1, 7, 23, 0, tzinfo=UTC), 167),
        (datetime(1970, 1, 1, 5, 0, tzinfo=UTC), 77),
        (datetime(1969, 12, 31, 23, 0, tzinfo=UTC), 71),
    ],
)
def test_weeks_begin_on_monday_at_midnight(at: datetime, hour: int) -> None:
    assert hours_of_week(np.array([round(at.timestamp() * 1000)])).tolist() == [hour]


def test_months_are_those_of_the_calendar() -> None:
    days = [(1969, 12, 31), (1970, 1, 1), (2024, 2, 29), (2024, 3, 1), (2025, 12, 31)]
    ts = np.array([round(datetime(*day, 23, tzinfo=UTC).timestamp() * 1000) for day in days])

    assert months_of_year(ts).tolist() == [11, 0, 1, 2, 11]


def test_thin_months_join_their_neighbours() -> None:
    assert pooled_months(np.full(12, 4_000), 10_000).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert pooled_months(np.full(12, 500), 10_000).tolist() == [0] * 12


def hourly(rows: int) -> IntArray:
    return np.full(HOURS, rows)


def test_hours_with_enough_rows_stand_alone() -> None:
    assert pooled_hours(hourly(10_000), 10_000).tolist() == list(range(HOURS))


def test_thin_hours_join_the_same_hours_of_other_days() -> None:
    pools = pooled_hours(hourly(4_000), 10_000)

    assert pools.reshape(7, 24).tolist() == [list(range(24))] * 7


def test_weekends_stay_apart_where_they_hold_enough() -> None:
    pools = pooled_hours(hourly(6_000), 10_000).reshape(7, 24)

    assert pools[:5].tolist() == [list(range(24))] * 5
    assert pools[5:].tolist() == [list(range(24, 48))] * 2


def test_thinner_hours_join_their_neighbours_and_the_thinnest_are_one() -> None:
    assert pooled_hours(hourly(500), 10_000).reshape(7, 24)[0].tolist() == np.repeat(np.arange(8), 3).tolist()
    assert pooled_hours(hourly(50), 10_000).tolist() == [0] * HOURS
    assert pooled_hours(hourly(0), 10_000).tolist() == [0] * HOURS


def test_a_quiet_night_joins_the_hours_beside_it() -> None:
    rows = hourly(10_000).reshape(7, 24)
    rows[:, 2:4] = 100

    pools = pooled_hours(rows.ravel(), 10_000)

    held = np.bincount(pools, weights=rows.ravel())
    assert held.min() >= 10_000
    assert pools.reshape(7, 24)[0].tolist() == [0, 1, 2, 2, *range(2, 22)]


def test_a_pace_is_the_time_of_99_rows_at_least_and_at_most() -> None:
    slow, fast = np.arange(300) * 1_000, np.arange(300) * 100
    ts = np.concatenate([slow, slow[-1] + 1_000 + fast])

    pace = Pace.of(StreamTime().advance(ts))

    assert pace == Pace(9_900, 99_000)
    assert pace.why_other(29_700) == ""
    assert pace.why_other(3_300) == ""
    assert pace.why_other(3_299) == ("live traffic brings 108,033 rows an hour, the reference 3,600 to 36,000")
    assert pace.why_other(297_001).startswith("live traffic brings 1,200 rows an hour")


def test_a_few_rows_have_no_pace() -> None:
    assert Pace.of(StreamTime().advance(np.arange(199))) is None
    assert Pace.of(StreamTime().advance(np.arange(200))) == Pace(99, 99)


def test_rows_count_from_where_stream_time_lags_behind_as_far_as_it_ever_does() -> None:
    assert SETTLED_ROWS == WIDTH


def test_a_declared_rate_may_be_three_times_the_references() -> None:
    assert why_other_rate(504.0, 168.0) == ""
    assert why_other_rate(672.0, 168.0) == "events_per_week declares 4 rows an hour, the reference has 1"
    assert why_other_rate(42.0, 168.0) == "events_per_week declares 0 rows an hour, the reference has 1"
