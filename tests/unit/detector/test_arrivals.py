"""What a silence is, by the traffic that was before it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from services.detector.watchdogs.arrivals import (
    CHANCE_PER_WEEK,
    MAX_SEEN,
    SLOT_MS,
    SLOTS,
    UNCALIBRATED,
    Arrivals,
    Silence,
)
from shared.durations import UNITS_MS

MINUTE, HOUR, DAY, WEEK = (UNITS_MS[unit] for unit in "mhdw")
MONDAY = 1_699_833_600_000 // WEEK * WEEK + 4 * DAY  # 1970 began with a Thursday
BUSY = Callable[[int], bool]  # by the minute since Monday


class Stream:
    """A stream that is looked at every minute."""

    def __init__(self, comes: BUSY, limit_ms: int | None = None) -> None:
        self.now, self.witnessed = MONDAY, 0
        self.arrivals = Arrivals.beginning(MONDAY, 0)
        self.silences: list[tuple[int, Silence]] = []
        self._comes, self._limit_ms = comes, limit_ms

    def pass_time(self, ms: int) -> None:
        for _ in range(ms // MINUTE):
            self.now, self.witnessed = self.now + MINUTE, self.witnessed + MINUTE
            self.arrivals.go_to(self.now, is_witnessed=True)
            if self._comes((self.now - MONDAY) // MINUTE):
                self.arrivals.arrive(1, self.witnessed)
            silence = self.arrivals.silence(self.witnessed, self._limit_ms)
            if silence is not None:
                self.silences.append((self.now, silence))

    def jump(self, ms: int) -> None:
        """Let time pass that no record witnesses."""
        self.now += ms
        self.arrivals.go_to(self.now, is_witnessed=False)


def until(end: int, comes: BUSY) -> BUSY:
    return lambda minute: minute * MINUTE < end and comes(minute)


def always(_: int) -> bool:
    return True


def in_office_hours(minute: int) -> bool:
    """Return whether a row comes: on five days of the week, from eight to six."""
    day, of_day = divmod(minute, 24 * 60)
    return day % 7 < 5 and 8 * 60 <= of_day < 18 * 60


def each_hour(minute: int) -> bool:
    return minute % 60 == 5


def each_day(minute: int) -> bool:
    """Return whether a batch comes: at two in the night, or a quarter later."""
    day, of_day = divmod(minute, 24 * 60)
    return of_day == 120 + day % 15


def by_chance(minute: int) -> bool:
    """Return whether a row comes: once in ten minutes on average."""
    return bool(np.random.default_rng(minute).random() < 0.1)


def an_hour_later_from_the_third_week_on(minute: int) -> bool:
    return in_office_hours(minute - 60 if minute * MINUTE >= 3 * WEEK else minute)


@pytest.mark.parametrize(
    "comes", [always, in_office_hours, each_hour, each_day, by_chance, an_hour_later_from_the_third_week_on]
)
def test_traffic_as_usual_is_no_silence(comes: BUSY) -> None:
    stream = Stream(comes)

    stream.pass_time(5 * WEEK)

    assert stream.silences == []


@pytest.mark.parametrize(
    ("comes", "stops", "told_after"),
    [
        pytest.param(always, WEEK + 12 * HOUR, 20 * MINUTE, id="always"),
        pytest.param(in_office_hours, 4 * WEEK + 11 * HOUR, 70 * MINUTE, id="in office hours"),
        pytest.param(each_hour, 4 * WEEK, 2 * HOUR, id="each hour"),
        pytest.param(each_day, 4 * WEEK, 48 * HOUR + 15 * MINUTE, id="each day"),
    ],
)
def test_a_silence_is_told_of_by_what_was_usual(comes: BUSY, stops: int, told_after: int) -> None:
    stream = Stream(until(stops, comes))

    stream.pass_time(stops + 4 * DAY)

    (when, silence), *_ = stream.silences
    assert when - MONDAY - stops <= told_after
    assert silence.lasted_ms > silence.limit_ms


def test_in_the_first_week_only_three_days_are_a_silence() -> None:
    stream = Stream(until(DAY, always))

    stream.pass_time(5 * DAY)

    (when, silence), *_ = stream.silences
    assert when - MONDAY == 4 * DAY
    assert silence == Silence(3 * DAY + MINUTE, 3 * DAY, UNCALIBRATED)


def test_at_a_time_when_rows_always_came_the_chance_is_told() -> None:
    stops = 8 * WEEK + 9 * HOUR + 30 * MINUTE
    stream = Stream(until(stops, in_office_hours))

    stream.pass_time(stops + 3 * HOUR)

    (_, silence), *_ = stream.silences
    assert 0.0 < silence.chance_per_week <= CHANCE_PER_WEEK


def test_what_is_asked_for_holds_from_the_first_row_on() -> None:
    stream = Stream(until(HOUR, always), limit_ms=30 * MINUTE)

    stream.pass_time(2 * HOUR)

    (when, silence), *_ = stream.silences
    assert when - MONDAY == HOUR + 30 * MINUTE
    assert silence == Silence(31 * MINUTE, 30 * MINUTE, UNCALIBRATED)


def test_time_that_nobody_witnessed_is_no_silence() -> None:
    stream = Stream(until(2 * WEEK, always))
    stream.pass_time(2 * WEEK)

    stream.jump(5 * DAY)
    stream.pass_time(5 * MINUTE)

    assert stream.silences == []


def test_a_stream_that_never_came_is_not_missed() -> None:
    stream = Stream(lambda _: False)

    stream.pass_time(5 * DAY)

    assert stream.silences == []


def test_time_in_which_nothing_could_come_is_no_silence() -> None:
    stream = Stream(until(2 * WEEK, always))
    stream.pass_time(2 * WEEK)
    for _ in range(24 * 60):
        stream.arrivals.hold(MINUTE)
        stream.pass_time(MINUTE)

    assert stream.silences == []


def test_the_chance_of_a_slot_is_that_of_the_weeks_before() -> None:
    stream = Stream(until(4 * WEEK, always))
    stream.pass_time(4 * WEEK + 2 * SLOT_MS)

    assert stream.arrivals.quiet == 2
    assert stream.arrivals.chance == pytest.approx((0.5 / 3.5) ** 2)  # the first slot was not seen from its beginning


def test_counts_of_old_weeks_fade() -> None:
    arrivals = Arrivals.beginning(0, 0)
    arrivals.is_whole = True
    for slot in range(SLOTS * MAX_SEEN):
        arrivals.arrive(1, slot * SLOT_MS)
        arrivals.go_to((slot + 1) * SLOT_MS, is_witnessed=True)

    assert set(arrivals.seen.tolist()) == set(arrivals.busy.tolist()) == {MAX_SEEN // 2}


def test_the_longest_silence_is_forgotten_by_half_in_half_a_year() -> None:
    arrivals = Arrivals.beginning(0, 0)
    arrivals.arrive(1, DAY)
    for week in range(1, 27):
        arrivals.go_to(week * WEEK, is_witnessed=False)

    assert arrivals.longest == pytest.approx(DAY / 2)
