"""Ways of doing the same work take turns, and what that says of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.cli.bench.growth import KINDS, SIZES, ratio, rows
from services.cli.bench.series_state import WatchSizes, of_all_traffic, of_segment
from services.cli.bench.turns import in_turns


class Stopwatch:
    """A clock that only work moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.done: list[str] = []

    def read(self) -> float:
        return self.now

    def way(self, name: str, *seconds: float) -> Callable[[], Callable[[], object]]:
        durations = iter(seconds)

        def ready() -> Callable[[], object]:
            self.now += 100.0
            return work

        def work() -> None:
            self.now += next(durations)
            self.done.append(name)

        return ready


def test_ways_take_turns_and_their_medians_count() -> None:
    watch = Stopwatch()

    found = in_turns(watch.read, 3, watch.way("ours", 1.0, 9.0, 2.0), watch.way("theirs", 4.0, 5.0, 60.0))

    assert found == [2.0, 5.0]
    assert watch.done == ["ours", "theirs"] * 3


def test_the_dearest_size_is_compared_with_the_cheapest_over_all_kinds() -> None:
    costs = {("adwin", "10"): 40.0, ("windows", "10"): 10.0, ("adwin", "100"): 30.0, ("windows", "100"): 30.0}

    assert ratio(costs, ["10", "100"]) == pytest.approx(1.2)
    assert ratio({**costs, ("adwin", "old"): 500.0}, ["10", "100"]) == pytest.approx(1.2)


def test_blocks_of_many_series_hold_fewer_rows() -> None:
    adwin, _, windows = KINDS

    assert [rows(adwin, series) for series in SIZES] == [2_000, 2_000, 2_000, 400]
    assert [rows(windows, series) for series in SIZES] == [2_000] * 4


def test_what_a_watch_has_once_is_no_part_of_a_series() -> None:
    once, of_a_segment, of_a_series = 400_000, 5_000, 2_000
    whole = WatchSizes(once + 14 * 3_000, once + 14 * 3_000 + 10 * (of_a_segment + 14 * of_a_series))
    without = WatchSizes(once + 7 * 3_000, once + 7 * 3_000 + 10 * (of_a_segment + 7 * of_a_series))

    assert of_all_traffic(whole, without, columns=7) == 3_000.0
    assert of_segment(whole, without, columns=7, segments=10) == of_a_series
