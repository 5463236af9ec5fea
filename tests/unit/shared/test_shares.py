"""Partitions that are fixed by the number of a process, and what contradicts them."""

from __future__ import annotations

import pytest

from shared.errors import ConfigurationError
from shared.grants import Operation, Resource, grants_of
from shared.services import SHARING
from shared.settings import Settings, read_settings
from shared.shares import FixedShares, partitions_of


def test_partitions_are_dealt_out_in_turn() -> None:
    assert [list(partitions_of(f"{i}/3", 8)) for i in range(3)] == [[0, 3, 6], [1, 4, 7], [2, 5]]


def test_one_process_has_all_of_them_by_default() -> None:
    assert FixedShares(partitions_of(Settings().instance, 4)).held() == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("instance", "why"),
    [
        ("3/3", "is 3/3, but instances count from 0: the last one is 2"),
        ("0/0", "is 0/0, but instances count from 0: the last one is -1"),
        ("2/4", "is 2/4, but there are 2 partitions to share out"),
    ],
)
def test_an_instance_without_partitions_is_refused(instance: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        partitions_of(instance, 2)
    assert str(refused.value) == f"DRIFTLINE_INSTANCE: {why}"


@pytest.mark.parametrize("text", ["1", "1/", "-1/2", "1/2/3", "1/2\n", "one/two"])
def test_an_instance_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="DRIFTLINE_INSTANCE"):
        read_settings({"DRIFTLINE_INSTANCE": text})


def test_a_group_and_a_fixed_instance_contradict_each_other() -> None:
    with pytest.raises(ConfigurationError, match="DRIFTLINE_INSTANCE: is for partitions that are fixed"):
        read_settings({"DRIFTLINE_ASSIGNMENT": "group", "DRIFTLINE_INSTANCE": "1/2"})


@pytest.mark.parametrize("role", SHARING)
def test_a_group_is_granted_where_one_shares_out(role: str) -> None:
    def groups(settings: Settings) -> set[tuple[str, Operation]]:
        return {(g.name, g.operation) for g in grants_of(role, settings) if g.resource is Resource.GROUP}

    added = groups(Settings(assignment="group")) - groups(Settings())
    assert added == {(f"driftline-main-{role}-shares", Operation.READ)}
