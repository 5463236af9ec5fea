"""The detector is a fold: the same observations give the same alerts and the same bytes, wherever they are cut."""

from __future__ import annotations

import pytest

from services.cli.backtest.run import TOPICS
from shared.log import Outgoing
from tests.kit.backtests import fresh_fold, replayed


def alert_values(messages: list[Outgoing]) -> list[bytes | None]:
    return [message.value for message in messages if message.topic == TOPICS.alerts]


@pytest.mark.parametrize("name", ["car_loan", "sea_abrupt", "bikes"])
def test_observations_folded_again_give_the_same_alerts_and_state(name: str) -> None:
    outcome = replayed(name)
    fold = fresh_fold(name)

    messages = [message for record in outcome.observations for message in fold.fold(record)]

    assert alert_values(messages) == [record.value for record in outcome.alerts]
    assert fold.snapshot() == outcome.state


@pytest.mark.parametrize("name", ["car_loan", "sea_abrupt", "bikes"])
def test_a_fold_restored_again_and_again_ends_in_the_same_state(name: str) -> None:
    outcome = replayed(name)
    fold = fresh_fold(name)
    alerts = []

    for number, record in enumerate(outcome.observations):
        if number % 17 == 16:
            state, fold = fold.snapshot(), fresh_fold(name)
            fold.restore(state)
        alerts += alert_values(fold.fold(record))

    assert alerts == [record.value for record in outcome.alerts]
    assert fold.snapshot() == outcome.state


def test_copies_of_observations_change_nothing() -> None:
    outcome = replayed("bikes")
    fold = fresh_fold("bikes")
    alerts = []

    for number, record in enumerate(outcome.observations):
        alerts += alert_values(fold.fold(record))
        alerts += alert_values(fold.fold(outcome.observations[number // 2]))

    assert alerts == [record.value for record in outcome.alerts]
    assert fold.duplicates == len(outcome.observations)
    assert fold.snapshot() == outcome.state
