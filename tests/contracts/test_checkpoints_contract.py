"""What every place of checkpoints promises: position and content together, never an older one over a newer one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from services.detector.adapters.memory_checkpoints import MemoryCheckpoints
from services.detector.adapters.redis_checkpoints import RedisCheckpoints
from services.detector.checkpoints import Checkpoints
from services.detector.logged_checkpoints import LoggedCheckpoints
from shared.errors import Corrupt, Unavailable
from shared.failpoints import Died, Failpoints
from shared.log import Outgoing
from shared.settings import Settings
from tests.kit.logs import LogUnderTest, MemoryLog, write

CHUNK_BYTES = 16 << 10


@pytest.fixture
def client(settings: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.redis_url) as connected:
        yield connected


@pytest.fixture
def redis_checkpoints(client: redis.Redis, settings: Settings) -> RedisCheckpoints:
    return RedisCheckpoints(client, settings.installation)


def logged(log: LogUnderTest, fail: str = "", installation: str = "main") -> LoggedCheckpoints:
    """Return checkpoints in a log, as a new process finds them."""
    log.create(next(spec for spec in log.topics.specs() if spec.name == log.topics.checkpoints))
    return LoggedCheckpoints(
        log.reader,
        log.writer(),
        log.topics.checkpoints,
        installation,
        failpoints=Failpoints(fail),
        chunk_bytes=CHUNK_BYTES,
    )


@pytest.fixture(params=["memory", "log", *(pytest.param(place, marks=pytest.mark.e2e) for place in ("redis", "kafka"))])
def checkpoints(request: pytest.FixtureRequest) -> Checkpoints:
    """A place without checkpoints."""
    if request.param == "memory":
        return MemoryCheckpoints()
    if request.param == "log":
        return logged(MemoryLog())
    if request.param == "kafka":
        return logged(request.getfixturevalue("kafka"))
    kept: RedisCheckpoints = request.getfixturevalue("redis_checkpoints")
    return kept


def newest(checkpoints: Checkpoints, partition: int) -> tuple[int, bytes] | None:
    """Return position and content of the first candidate."""
    found = checkpoints.candidates(partition)
    return (found[0].position, found[0].read()) if found else None


def test_a_partition_that_was_never_saved_has_no_checkpoint(checkpoints: Checkpoints) -> None:
    assert newest(checkpoints, 0) is None


@pytest.mark.parametrize("position", [0, 1, 2**53 + 1, 2**63 - 1])
def test_what_was_saved_is_read_with_its_position(checkpoints: Checkpoints, position: int) -> None:
    assert checkpoints.put_if_newer(0, position, b"\0\xffsealed\r\n")
    assert newest(checkpoints, 0) == (position, b"\0\xffsealed\r\n")


def test_a_newer_checkpoint_replaces_an_older_one(checkpoints: Checkpoints) -> None:
    for position in range(1, 8):
        content = b"%d" % position * CHUNK_BYTES * (8 - position)
        assert checkpoints.put_if_newer(0, position, content)
        assert newest(checkpoints, 0) == (position, content)


@pytest.mark.parametrize(("newer", "older"), [(10, 9), (16, 15), (2**53 + 1, 2**53), (2**63 - 1, 0)])
def test_a_stale_position_is_refused(checkpoints: Checkpoints, newer: int, older: int) -> None:
    checkpoints.put_if_newer(0, newer, b"newer")

    assert not checkpoints.put_if_newer(0, older, b"older")
    assert newest(checkpoints, 0) == (newer, b"newer")


def test_a_stale_position_is_taken_over_one_that_is_not_whole(checkpoints: Checkpoints) -> None:
    checkpoints.put_if_newer(0, 10, b"broken")

    assert checkpoints.put_if_newer(0, 9, b"whole", over=10)
    assert (9, b"whole") in [(one.position, one.read()) for one in checkpoints.candidates(0)]
    assert checkpoints.put_if_newer(0, 11, b"next")
    assert newest(checkpoints, 0) == (11, b"next")


def test_the_same_position_is_saved_again(checkpoints: Checkpoints) -> None:
    checkpoints.put_if_newer(0, 5, b"sealed")

    assert checkpoints.put_if_newer(0, 5, b"sealed")
    assert newest(checkpoints, 0) == (5, b"sealed")


def test_partitions_do_not_see_each_other(checkpoints: Checkpoints) -> None:
    checkpoints.put_if_newer(0, 5, b"five")
    checkpoints.put_if_newer(1, 3, b"three")

    assert (newest(checkpoints, 0), newest(checkpoints, 1)) == ((5, b"five"), (3, b"three"))


def test_a_partition_that_was_dropped_has_no_checkpoint(checkpoints: Checkpoints) -> None:
    checkpoints.put_if_newer(0, 4, b"four" * CHUNK_BYTES)
    checkpoints.put_if_newer(0, 5, b"five")
    checkpoints.put_if_newer(1, 3, b"three")

    checkpoints.drop(0)
    checkpoints.drop(0)

    assert (newest(checkpoints, 0), newest(checkpoints, 1)) == (None, (3, b"three"))
    assert checkpoints.put_if_newer(0, 2, b"two")
    assert newest(checkpoints, 0) == (2, b"two")


def test_a_state_of_many_megabytes_is_one_checkpoint(checkpoints: Checkpoints) -> None:
    content = bytes(range(256)) * (8 << 12)

    assert checkpoints.put_if_newer(0, 1, content)
    assert newest(checkpoints, 0) == (1, content)


@pytest.mark.e2e
def test_installations_do_not_see_each_other(
    redis_checkpoints: RedisCheckpoints, client: redis.Redis, settings: Settings
) -> None:
    redis_checkpoints.put_if_newer(0, 5, b"ours")

    assert newest(RedisCheckpoints(client, f"{settings.installation}x"), 0) is None
    assert client.get(f"driftline:{settings.installation}:ck:0") == b"0000000000000005ours"


@pytest.mark.e2e
@pytest.mark.parametrize("content", [b"00000005", b"not a position: sealed", b"\xff" * 20])
def test_a_checkpoint_without_a_position_is_corrupt_and_gives_way(
    redis_checkpoints: RedisCheckpoints, client: redis.Redis, settings: Settings, content: bytes
) -> None:
    client.set(f"driftline:{settings.installation}:ck:0", content)
    (found,) = redis_checkpoints.candidates(0)

    assert found.position == -1
    with pytest.raises(Corrupt, match=f"driftline:{settings.installation}:ck:0 begins with no position"):
        found.read()
    assert redis_checkpoints.put_if_newer(0, 1, b"whole", over=found.position)
    assert newest(redis_checkpoints, 0) == (1, b"whole")


@pytest.mark.e2e
def test_a_script_that_the_server_forgot_is_sent_again(
    redis_checkpoints: RedisCheckpoints, client: redis.Redis
) -> None:
    redis_checkpoints.put_if_newer(0, 1, b"a")
    client.script_flush()

    assert redis_checkpoints.put_if_newer(0, 2, b"b")


def test_a_redis_that_does_not_answer_is_away() -> None:
    with redis.Redis.from_url("redis://127.0.0.1:1/0") as nowhere:
        checkpoints = RedisCheckpoints(nowhere, "main")
        with pytest.raises(Unavailable, match="Redis"):
            checkpoints.candidates(0)
        with pytest.raises(Unavailable, match="Redis"):
            checkpoints.put_if_newer(0, 1, b"")


# What only a log can show.

THREE_CHUNKS = bytes(range(256)) * (3 * CHUNK_BYTES // 256)


@pytest.mark.parametrize("place", ["between_chunks:exit@1", "between_chunks:exit@3", "before_manifest:exit@1"])
def test_a_writer_that_dies_before_its_manifest_leaves_the_last_checkpoint(log: LogUnderTest, place: str) -> None:
    for position in (1, 2):
        logged(log).put_if_newer(0, position, b"%d" % position + THREE_CHUNKS)
    with pytest.raises(Died):
        logged(log, f"detector.{place}").put_if_newer(0, 3, b"3" + THREE_CHUNKS)

    assert newest(logged(log), 0) == (2, b"2" + THREE_CHUNKS)
    assert logged(log).put_if_newer(0, 4, b"4" + THREE_CHUNKS)
    assert newest(logged(log), 0) == (4, b"4" + THREE_CHUNKS)


def test_a_chunk_that_was_changed_leaves_the_checkpoint_before_it(log: LogUnderTest) -> None:
    checkpoints = logged(log)
    checkpoints.put_if_newer(0, 1, b"1" + THREE_CHUNKS)
    checkpoints.put_if_newer(0, 2, b"2" + THREE_CHUNKS)
    write(log, Outgoing(log.topics.checkpoints, b"changed", b"main/1/2", 0))

    broken, whole = logged(log).candidates(0)

    assert (broken.position, whole.position) == (2, 1)
    with pytest.raises(Corrupt, match="chunks are missing"):
        broken.read()
    assert whole.read() == b"1" + THREE_CHUNKS


def test_a_manifest_that_does_not_read_is_a_candidate_that_is_not_whole(log: LogUnderTest) -> None:
    logged(log).put_if_newer(0, 1, b"one")
    write(log, Outgoing(log.topics.checkpoints, b"{", b"main/1/manifest", 0))

    whole, broken = logged(log).candidates(0)

    assert (whole.position, broken.position) == (1, -1)
    with pytest.raises(Corrupt):
        broken.read()


def test_what_others_write_into_the_log_is_left_alone(log: LogUnderTest) -> None:
    topic = log.topics.checkpoints
    logged(log).put_if_newer(0, 1, b"one")
    logged(log, installation="other").put_if_newer(0, 9, b"another installation's")
    keys = (b"\xff", b"main", b"main/2/manifest", b"main/0/9999")  # Kafka compacts no record without a key
    write(log, *(Outgoing(topic, b"{}", key, 0) for key in keys))

    assert [(one.position, one.read()) for one in logged(log).candidates(0)] == [(1, b"one")]


def test_who_comes_back_late_does_not_replace_what_a_successor_wrote(log: LogUnderTest) -> None:
    late = logged(log)
    late.put_if_newer(0, 1, b"one")
    for position in (5, 6, 7):
        logged(log).put_if_newer(0, position, b"%d" % position)

    assert not late.put_if_newer(0, 2, b"two")
    assert [one.position for one in logged(log).candidates(0)] == [7, 6]
