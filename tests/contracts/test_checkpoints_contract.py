"""What every store of checkpoints promises: position and state together, and never an older one over a newer one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from services.detector.adapters.memory_checkpoints import MemoryCheckpoints
from services.detector.adapters.redis_checkpoints import RedisCheckpoints
from services.detector.checkpoints import Checkpoint, Checkpoints
from shared.errors import Corrupt, Unavailable
from shared.settings import Settings


@pytest.fixture
def client(settings: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.redis_url) as connected:
        yield connected


@pytest.fixture
def redis_checkpoints(client: redis.Redis, settings: Settings) -> RedisCheckpoints:
    return RedisCheckpoints(client, settings.installation)


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.e2e)])
def checkpoints(request: pytest.FixtureRequest) -> Checkpoints:
    """A store without checkpoints."""
    if request.param == "memory":
        return MemoryCheckpoints()
    kept: RedisCheckpoints = request.getfixturevalue("redis_checkpoints")
    return kept


def test_a_partition_that_was_never_saved_has_no_checkpoint(checkpoints: Checkpoints) -> None:
    assert checkpoints.get(0) is None


@pytest.mark.parametrize("position", [0, 1, 2**53 + 1, 2**63 - 1])
def test_what_was_saved_is_read_with_its_position(checkpoints: Checkpoints, position: int) -> None:
    assert checkpoints.put_if_newer(0, Checkpoint(position, b"\0\xffstate\r\n"))
    assert checkpoints.get(0) == Checkpoint(position, b"\0\xffstate\r\n")


def test_an_empty_state_is_a_state(checkpoints: Checkpoints) -> None:
    assert checkpoints.put_if_newer(0, Checkpoint(7, b""))
    assert checkpoints.get(0) == Checkpoint(7, b"")


def test_a_newer_checkpoint_replaces_an_older_one(checkpoints: Checkpoints) -> None:
    checkpoints.put_if_newer(0, Checkpoint(9, b"a long first state"))

    assert checkpoints.put_if_newer(0, Checkpoint(10, b"b"))
    assert checkpoints.get(0) == Checkpoint(10, b"b")


@pytest.mark.parametrize(("newer", "older"), [(10, 9), (16, 15), (2**53 + 1, 2**53), (2**63 - 1, 0)])
def test_a_stale_position_is_refused(checkpoints: Checkpoints, newer: int, older: int) -> None:
    checkpoints.put_if_newer(0, Checkpoint(newer, b"newer"))

    assert not checkpoints.put_if_newer(0, Checkpoint(older, b"older"))
    assert checkpoints.get(0) == Checkpoint(newer, b"newer")


def test_the_same_position_is_saved_again(checkpoints: Checkpoints) -> None:
    checkpoints.put_if_newer(0, Checkpoint(5, b"state"))

    assert checkpoints.put_if_newer(0, Checkpoint(5, b"state"))
    assert checkpoints.get(0) == Checkpoint(5, b"state")


def test_partitions_do_not_see_each_other(checkpoints: Checkpoints) -> None:
    checkpoints.put_if_newer(0, Checkpoint(5, b"five"))
    checkpoints.put_if_newer(1, Checkpoint(3, b"three"))

    assert (checkpoints.get(0), checkpoints.get(1)) == (Checkpoint(5, b"five"), Checkpoint(3, b"three"))
    assert checkpoints.get(2) is None


def test_a_state_of_many_megabytes_is_one_checkpoint(checkpoints: Checkpoints) -> None:
    state = bytes(range(256)) * (8 << 12)

    assert checkpoints.put_if_newer(0, Checkpoint(1, state))
    assert checkpoints.get(0) == Checkpoint(1, state)


@pytest.mark.e2e
def test_installations_do_not_see_each_other(
    redis_checkpoints: RedisCheckpoints, client: redis.Redis, settings: Settings
) -> None:
    redis_checkpoints.put_if_newer(0, Checkpoint(5, b"ours"))

    assert RedisCheckpoints(client, f"{settings.installation}x").get(0) is None
    assert client.get(f"driftline:{settings.installation}:ck:0") == b"0000000000000005ours"


@pytest.mark.e2e
def test_a_checkpoint_that_was_cut_within_its_position_is_corrupt(
    redis_checkpoints: RedisCheckpoints, client: redis.Redis, settings: Settings
) -> None:
    client.set(f"driftline:{settings.installation}:ck:0", b"00000005")

    with pytest.raises(Corrupt, match=f"driftline:{settings.installation}:ck:0 has 8 bytes"):
        redis_checkpoints.get(0)


@pytest.mark.e2e
def test_a_checkpoint_whose_position_is_no_number_is_corrupt(
    redis_checkpoints: RedisCheckpoints, client: redis.Redis, settings: Settings
) -> None:
    client.set(f"driftline:{settings.installation}:ck:0", b"not a position: state")

    with pytest.raises(Corrupt, match=f"driftline:{settings.installation}:ck:0 begins with no position"):
        redis_checkpoints.get(0)


@pytest.mark.e2e
def test_a_script_that_the_server_forgot_is_sent_again(
    redis_checkpoints: RedisCheckpoints, client: redis.Redis
) -> None:
    redis_checkpoints.put_if_newer(0, Checkpoint(1, b"a"))
    client.script_flush()

    assert redis_checkpoints.put_if_newer(0, Checkpoint(2, b"b"))


def test_a_redis_that_does_not_answer_is_away() -> None:
    with redis.Redis.from_url("redis://127.0.0.1:1/0") as nowhere:
        checkpoints = RedisCheckpoints(nowhere, "main")
        with pytest.raises(Unavailable, match="Redis"):
            checkpoints.get(0)
        with pytest.raises(Unavailable, match="Redis"):
            checkpoints.put_if_newer(0, Checkpoint(1, b""))
