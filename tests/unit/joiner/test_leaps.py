"""Log time that leaps ahead stops the joiner, before anything of it is folded, until someone has confirmed it."""

from __future__ import annotations

import pytest

from services.joiner.leaps import LEAST_MS
from services.joiner.meta import Counters
from shared.durations import UNITS_MS
from shared.errors import LogTime
from shared.events.block import Block
from tests.kit.halves import MODEL, L, P, labels, predictions, tick
from tests.kit.joining import Installation

DAY = UNITS_MS["d"]
NOW = 20_000 * DAY  # 2024-10-04
LONG = 60 * DAY  # a label horizon


def asked(name: str, horizon_ms: int = LONG) -> Block:
    return predictions(P(name), horizon_ms=horizon_ms)


def test_a_record_from_the_future_is_not_folded() -> None:
    run = Installation()
    joiner = run.joiner(confirmed_ms=0)
    run.write((asked("a"), NOW))
    joiner.step(0.0)
    run.write((asked("b"), NOW + 1))
    run.write((tick(), NOW + 400 * DAY))
    with pytest.raises(LogTime) as stopped:
        joiner.step(0.0)
    assert str(stopped.value) == (
        "driftline.halves-0@2: log time leaps by 57.1 w, from 2024-10-04T00:00:00.001Z to 2025-11-08T00:00:00.000Z, "
        "and labels that are awaited would be given up. Correct the brokers' clocks; if the time is right, or to go on "
        "all the same, set DRIFTLINE_CONFIRMED_LOG_TIME=2025-11-08T00:00:00.000Z and start the joiner again "
        "(docs/operate.md)"
    )
    assert run.view.load(0).position == 1
    assert len(run.accepted()) == 1


def test_a_leap_stops_the_next_joiner_too_until_its_time_is_confirmed() -> None:
    run = Installation()
    run.write((asked("a"), NOW))
    run.joiner(confirmed_ms=0).step(0.0)
    run.write((labels(L("a"), horizon_ms=LONG), NOW + 50 * DAY))
    for confirmed_ms in (0, NOW + 50 * DAY - 1):
        with pytest.raises(LogTime):
            run.joiner(confirmed_ms=confirmed_ms).step(0.0)
    run.joiner(confirmed_ms=NOW + 50 * DAY).step(0.0)
    assert run.counters()[MODEL] == Counters(served=1, labels_joined=1)


def test_a_time_that_was_confirmed_lets_no_later_leap_pass() -> None:
    run = Installation()
    joiner = run.joiner(confirmed_ms=NOW + 40 * DAY)
    for log_time in (NOW, NOW + 40 * DAY):
        run.write((asked("a"), log_time))
        joiner.step(0.0)
    run.write((tick(), NOW + 80 * DAY))
    with pytest.raises(LogTime):
        joiner.step(0.0)


@pytest.mark.parametrize(
    ("horizon_ms", "gap_ms", "leaps"),
    [
        (LONG, LONG // 2, False),
        (LONG, LONG // 2 + 1, True),
        (DAY, LEAST_MS, False),  # a week of holidays
        (DAY, LEAST_MS + 1, True),
    ],
)
def test_half_the_longest_horizon_is_no_leap_nor_is_a_week(horizon_ms: int, gap_ms: int, *, leaps: bool) -> None:
    run = Installation()
    joiner = run.joiner(confirmed_ms=0)
    run.write((asked("a", horizon_ms), NOW))
    run.write((tick(), NOW + gap_ms))
    if leaps:
        with pytest.raises(LogTime):
            joiner.step(0.0)
    else:
        joiner.step(0.0)
        assert run.view.load(0).position == 2


def test_a_log_may_begin_at_any_time_and_go_back() -> None:
    run = Installation()
    joiner = run.joiner(confirmed_ms=0)
    for log_time in (NOW + 400 * DAY, NOW, NOW + 400 * DAY):
        run.write((tick(), log_time))
        joiner.step(0.0)
    assert run.view.load(0).position == 3


def test_recorded_rows_may_leap() -> None:
    run = Installation()
    joiner = run.joiner()
    for log_time in (NOW, NOW + 400 * DAY):
        run.write((tick(), log_time))
        joiner.step(0.0)
    assert run.view.load(0).position == 2
