"""Which cohorts have fewer labels than is usual at their age."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from services.detector.watchdogs.labelling import AGES_MS, COHORT_MS, COHORT_ROWS, LEARNT_COHORTS, Labelling, Shortfall

HOUR = COHORT_MS
WEEK = 7 * 24


def run(hours: int, share: Callable[[int], float], *, delay: int = 0, rows: int = COHORT_ROWS) -> list[tuple[int, str]]:
    """Return at which hours labels fell short, and at which they were as usual again.

    A block of predictions comes each hour and again at its end, in one of two shards; its labels come `delay` hours
    later.
    """
    labelling, told = Labelling(), list[tuple[int, str]]()
    for hour in range(hours):
        shard = hour % 2
        labelling.serve(shard, 2 * hour, rows // 2, hour * HOUR)
        labelling.serve(shard, 2 * hour + 1, rows - rows // 2, (hour + 1) * HOUR)
        of = hour - delay
        if of >= 0:
            labelling.label(of % 2, [(2 * of, round(share(of) * rows / 2)), (2 * of + 1, round(share(of) * rows / 2))])
        for found in labelling.look((hour + 1) * HOUR):
            told.append((hour, "well" if found is None else "short"))
    return told


def first_and_last(told: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return [told[0], told[-1]] if told else []


def test_a_steady_share_is_never_short() -> None:
    assert run(3 * WEEK, lambda _: 0.6) == []


def test_a_share_that_falls_by_half_is_short_until_it_is_usual_again() -> None:
    told = run(3 * WEEK, lambda hour: 0.2 if WEEK + 100 <= hour < WEEK + 110 else 0.6)

    assert told[0] == (WEEK + 101, "short")
    assert told[-1][1] == "well"
    assert [what for _, what in told].count("well") == 1


def test_a_small_fall_says_nothing() -> None:
    assert run(3 * WEEK, lambda hour: 0.4 if hour > 2 * WEEK else 0.6) == []


def test_nothing_is_told_of_before_a_week_is_known() -> None:
    assert run(WEEK, lambda hour: 0.1 if hour > 2 * LEARNT_COHORTS else 0.6) == []


def test_labels_may_take_as_long_as_they_do() -> None:
    late = run(4 * WEEK, lambda _: 0.6, delay=30)
    fallen = run(4 * WEEK, lambda hour: 0.1 if hour >= 2 * WEEK else 0.6, delay=30)

    assert late == []
    assert fallen[0] == (2 * WEEK + 32, "short")


def test_shares_that_vary_much_need_to_fall_far() -> None:
    assert run(3 * WEEK, lambda hour: (0.9, 0.6, 0.3)[hour % 3] if hour < 2 * WEEK else 0.3) == []


def test_few_labels_are_not_missed() -> None:
    assert run(3 * WEEK, lambda hour: 0.0 if hour > 2 * WEEK else 0.01) == []


def test_a_fall_that_lasts_becomes_usual() -> None:
    told = run(6 * WEEK, lambda hour: 0.25 if hour > 2 * WEEK else 0.6)

    assert told[0][1] == "short"
    assert told[-1][1] == "well"


def test_thin_traffic_makes_longer_cohorts() -> None:
    labelling = Labelling()
    for hour in range(30):
        labelling.serve(0, hour, 100, hour * HOUR)

    assert [cohort.rows for cohort in labelling.cohorts] == [1_000, 1_000, 1_000]
    assert [cohort.closed for cohort in labelling.cohorts] == [9 * HOUR, 19 * HOUR, 29 * HOUR]


def test_cohorts_that_were_looked_at_are_forgotten_with_their_places() -> None:
    labelling = Labelling()
    hours = AGES_MS[-1] // HOUR + 100
    for hour in range(hours):
        labelling.serve(0, hour, COHORT_ROWS, hour * HOUR)
        labelling.label(0, [(hour, 600), (0, 1)])
        assert list(labelling.look(hour * HOUR)) == []

    # Each cohort takes two hours: it lasts for one.
    assert len(labelling.cohorts) <= 1 + AGES_MS[-1] // HOUR
    assert len(labelling.ends[0]) <= len(labelling.cohorts) + 1
    assert labelling.cohorts[0].labelled == 1_200


def test_what_falls_short_says_by_how_much() -> None:
    labelling = Labelling()
    for usual in labelling.usual:
        usual.cohorts, usual.mean, usual.variance = LEARNT_COHORTS, 0.5, 0.0001
    labelling.serve(0, 1, 1, 0)
    labelling.serve(0, 2, 999, HOUR)
    labelling.label(0, [(1, 1), (2, 99)])

    found = list(labelling.look(WEEK * HOUR + HOUR))

    assert found[0] == Shortfall(HOUR, 1_000, 0.1, 0.25, 0.5)


def test_a_state_reads_back() -> None:
    labelling = Labelling()
    labelling.serve(3, 7, 10, 0)
    labelling.label(3, [(7, 4)])

    assert msgspec.msgpack.decode(msgspec.msgpack.encode(labelling), type=Labelling) == labelling


@pytest.mark.parametrize("shard", [0, 1])
def test_labels_of_predictions_that_were_never_seen_count_nowhere(shard: int) -> None:
    labelling = Labelling()
    labelling.serve(0, 7, 10, 0)
    labelling.label(shard, [(8, 4)])

    assert labelling.cohorts[0].labelled == 0
