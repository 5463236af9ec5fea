"""When a warm-up is over, what is learned then, and what happens where it cannot be."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest

from services.cli.acceptance import NEEDED_ROWS
from services.cli.publication import Publication
from services.cli.warm_up import LOOK_SECONDS, Outcome, WarmUp, WarmUps, learn, still_wanted
from services.detector.log_reference import Range
from services.detector.stream_time import WIDTH
from shared.adapters.memory import ManualClock
from shared.definition import ServedRows
from shared.durations import UNITS_MS
from shared.errors import Unavailable
from shared.log import TopicPartition
from shared.monitors import AlertsSpec, FeatureSpec
from shared.values import format_ts
from tests.kit.accepting import Watched
from tests.kit.references import HOUR_MS
from tests.kit.traffic import MODEL, START_MS, WARMING, rows

FIRST = Publication.warming_up(MODEL, WARMING)
ENOUGH = NEEDED_ROWS + WIDTH
BEGUN = WIDTH // 2  # the row whose time is stream time when 101 rows are in


def at(row: int) -> int:
    return START_MS + row * HOUR_MS


def warm_up(wanted_ms: int, served: int, cut: int = 500) -> WarmUp:
    """Return the warm-up of a model with a prediction an hour."""
    found = WarmUp(FIRST.definition, wanted_ms)
    for start in range(0, served, cut):
        found.serve(np.arange(start, min(start + cut, served), dtype=np.int64) * HOUR_MS + START_MS)
    return found


@pytest.mark.parametrize("cut", [1, 77, 5_000])
def test_it_ends_with_the_row_that_has_brought_enough_time_however_the_log_is_cut(cut: int) -> None:
    hours = 11_000
    last = hours + WIDTH  # rows until stream time is so many hours after the first

    assert warm_up(hours * HOUR_MS, last - 1, cut).range is None
    assert warm_up(hours * HOUR_MS, last, cut).range == Range(at(BEGUN), at(BEGUN + hours))
    assert warm_up(hours * HOUR_MS, last + 500, cut).range == Range(at(BEGUN), at(BEGUN + hours))


def test_it_goes_on_until_there_are_rows_enough() -> None:
    assert warm_up(HOUR_MS, ENOUGH - 1).range is None
    assert warm_up(HOUR_MS, ENOUGH).range == Range(at(BEGUN), at(ENOUGH - 1 - BEGUN))


def test_it_says_how_far_it_is() -> None:
    assert str(warm_up(UNITS_MS["w"], BEGUN * 2 + 1 + 72)) == ("loans warms up: 3 d of 7 d, 173 of 10,101 predictions")
    assert str(warm_up(UNITS_MS["w"], 0)) == "loans warms up: 0 ms of 7 d, 0 of 10,101 predictions"


class Learning:
    """A model that warms up, and whoever looks after it. `wakes`: what happens while it waits, a piece each time."""

    def __init__(self, stop: int = 12_000, first: Publication = FIRST) -> None:
        self.watched = Watched(rows(stop), first)
        self.said: list[str] = []
        self.clock = ManualClock()
        self.warm_ups = WarmUps(self.watched.on.reader(), self.watched.topics)
        self.wakes: list[Callable[[], object]] = []

    def give(self, one: WarmUp) -> ServedRows:
        built = self.warm_ups.build(one, lambda _step, _share: None)
        for publication in still_wanted(self.watched.catalogue(), built.publication):
            self.watched.publish(publication)
        return built.rows

    def now_ms(self) -> int:
        return self.clock.now_ms()

    def monotonic(self) -> float:
        return self.clock.monotonic()

    def sleep(self, seconds: float) -> None:
        self.clock.sleep(seconds)
        self.wakes.pop(0)()

    def learn(self, *, wait: bool = False) -> Outcome:
        return learn(self.warm_ups, self.give, self.said.append, self, wait=wait)


def test_a_look_before_the_end_says_how_far_it_is() -> None:
    learning = Learning()
    learning.watched.serve(0, 4_000)

    outcome = learning.learn()

    assert list(outcome.lines()) == ["loans warms up: 23.2 w of 7 d, 4,000 of 10,101 predictions"]
    assert (outcome.learned, outcome.refused) == ({}, {})


def test_whoever_waits_publishes_the_baseline_when_it_is_over() -> None:
    learning = Learning()
    watched = learning.watched
    watched.serve(0, 4_000)
    learning.wakes = [lambda: watched.serve(4_000, 9_000), lambda: watched.serve(9_000, 12_000)]

    outcome = learning.learn(wait=True)

    definition = watched.log.stamped.definition
    expected = ServedRows(since=format_ts(at(BEGUN)), until=format_ts(at(ENOUGH - 2 - BEGUN)), rows=NEEDED_ROWS)
    assert outcome == Outcome(learned={MODEL: expected})
    assert (definition.built_from, definition.follows) == (expected, FIRST.definition.hash)
    assert list(outcome.lines()) == [
        f"loans: its baseline is built from 10,000 served rows from {expected.since} to {expected.until}"
    ]
    assert learning.clock.monotonic() == 2 * LOOK_SECONDS


def test_who_looks_late_builds_the_same_baseline() -> None:
    found = []
    for steps in ([12_000], [3_000, 7_000, 10_200, 12_000]):
        learning = Learning()
        start = 0
        for stop in steps:
            learning.watched.serve(start, stop)
            learning.learn()
            start = stop
        found.append(learning.watched.log.stamped.definition)

    assert found[0] == found[1]


def test_copies_of_observations_do_not_count() -> None:
    learning = Learning()
    learning.watched.serve(0, 2_000)
    learning.watched.log.last.clear()
    learning.watched.log.records.clear()
    learning.watched._folded = 0
    learning.watched.serve(0, 2_000)

    learning.learn()

    assert learning.warm_ups.models[MODEL].time.rows == 2_000


def test_rows_with_other_columns_do_not_count() -> None:
    fewer = msgspec.structs.replace(WARMING, features={"amount": FeatureSpec(kind="numeric")})
    learning = Learning()
    learning.watched.serve(0, 3_000)
    learning.learn()
    learning.watched.publish(Publication.warming_up(MODEL, fewer))
    learning.watched.serve(3_000, 3_500)

    learning.learn()

    assert learning.warm_ups.models[MODEL].time.rows == 500


def test_what_was_served_counts_again_where_only_a_threshold_changed() -> None:
    stricter = msgspec.structs.replace(WARMING, alerts=AlertsSpec(false_pages_per_month=1.0))
    learning = Learning()
    learning.watched.serve(0, 12_000)
    learning.learn()
    learning.watched.publish(Publication.warming_up(MODEL, stricter))

    outcome = learning.learn()

    assert list(outcome.learned) == [MODEL]


def test_another_definition_that_came_meanwhile_is_left_as_it_is() -> None:
    learning = Learning()
    learning.watched.serve(0, 12_000)
    (one,) = learning.warm_ups.look()
    built = learning.warm_ups.build(one, lambda _step, _share: None)
    learning.watched.publish(Publication.warming_up(MODEL, msgspec.structs.replace(WARMING, warm_up="9d")))

    assert still_wanted(learning.watched.catalogue(), built.publication) == []


def test_a_baseline_that_cannot_be_built_is_told_of_and_ends_the_waiting() -> None:
    rule = msgspec.structs.replace(WARMING, alerts=AlertsSpec(rules=["psi(amount, channel=fax) > 0.2"]), new_segments=0)
    learning = Learning(first=Publication.warming_up(MODEL, rule))
    learning.watched.serve(0, 12_000)

    outcome = learning.learn(wait=True)

    assert (outcome.learned, outcome.warming_up) == ({}, {})
    (said,) = outcome.lines()
    assert said.startswith(
        "loans has no baseline: models.loans.alerts.rules.0: psi(amount, channel=fax) > 0.2: the ref"
    )


def test_a_warm_up_that_the_log_no_longer_holds_whole_is_refused() -> None:
    learning = Learning()
    learning.watched.serve(0, 9_000)
    learning.learn()
    learning.watched.on.delete_records(TopicPartition(learning.watched.topics.observations, 0), 1)
    learning.watched.serve(9_000, 12_000)

    outcome = learning.learn()

    assert "no longer holds what was before" in outcome.refused[MODEL]


class Away(WarmUps):
    """A broker that does not answer the first time."""

    is_away = True

    def look(self) -> list[WarmUp]:
        if self.is_away:
            raise Unavailable("Kafka: no broker answers")
        return super().look()


def test_who_waits_tries_again_where_no_broker_answers() -> None:
    learning = Learning()
    learning.watched.serve(0, 12_000)
    away = learning.warm_ups = Away(learning.watched.on.reader(), learning.watched.topics)

    with pytest.raises(Unavailable):
        learning.learn()
    learning.wakes = [lambda: setattr(away, "is_away", False)]

    assert list(learning.learn(wait=True).learned) == [MODEL]
    assert learning.said == ["Kafka: no broker answers; trying again"]
