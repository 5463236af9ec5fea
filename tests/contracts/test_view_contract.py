"""What every view promises: one moment a look, one owner a step, generations."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from services.joiner.adapters.memory_view import MemoryView
from services.joiner.adapters.redis_view import RedisView
from services.joiner.view import Change, Reading, Snapshot, View
from shared.errors import ConfigurationError, Unavailable
from shared.grants import redis_grants
from shared.settings import Settings
from tests.kit.redis_cluster import nodes, redis_cluster, tell_nodes

A, B, C = (bytes([n]) * 16 for n in (0, 10, 255))


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a Redis Cluster of three nodes."""
    with redis_cluster(tmp_path_factory.mktemp("cluster")) as url:
        yield url


@pytest.fixture(params=["memory", *(pytest.param(kind, marks=pytest.mark.e2e) for kind in ("redis", "cluster"))])
def view(request: pytest.FixtureRequest) -> Iterator[View]:
    """An empty view."""
    if request.param == "memory":
        yield MemoryView()
        return
    settings: Settings = (
        request.getfixturevalue("settings")
        if request.param == "redis"
        else Settings(redis_url=request.getfixturevalue("cluster"), installation=uuid.uuid4().hex)
    )
    redis_view = RedisView(settings.redis, installation=settings.installation, shards=4)
    yield redis_view
    redis_view.close()


@pytest.fixture
def redis_view(settings: Settings) -> Iterator[RedisView]:
    kept = RedisView(settings.redis, installation=settings.installation, shards=4)
    yield kept
    kept.close()


@pytest.fixture
def client(settings: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.redis_url) as connected:
        yield connected


def change(
    position: int, entries: dict[bytes, bytes], *, words: bytes | None = None, rotate: bool = False, meta: bytes = b"m"
) -> Change:
    return Change(position, meta, words, rotate, entries, mark=b"\0mark")


def keys(settings: Settings, shard: int) -> list[str]:
    return [f"{{driftline:{settings.installation}:4:{shard}}}:{name}" for name in ("m", "g0", "g1")]


@pytest.fixture
def evicting(client: redis.Redis) -> Iterator[None]:
    """Redis would evict, if it had less than a terabyte."""
    client.config_set("maxmemory", 1 << 40)
    client.config_set("maxmemory-policy", "allkeys-lru")
    yield
    client.config_set("maxmemory", 0)
    client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.usefixtures("evicting")
def test_an_owner_refuses_a_redis_that_evicts_and_others_may_look(settings: Settings, redis_view: RedisView) -> None:
    owned = RedisView(settings.redis, installation=settings.installation, shards=4, is_owner=True)

    with pytest.raises(ConfigurationError, match=r"evicts keys \(maxmemory-policy allkeys-lru\)"):
        owned.load(0)
    assert redis_view.load(0) == Snapshot(None)
    owned.close()


def test_an_owner_takes_a_redis_that_keeps_everything(settings: Settings) -> None:
    owned = RedisView(settings.redis, installation=settings.installation, shards=4, is_owner=True)

    assert owned.load(0) == Snapshot(None)
    owned.close()


def test_an_empty_view_stands_nowhere(view: View) -> None:
    assert view.load(0) == Snapshot(None)
    assert view.read(0, None, [A]) == Reading()
    assert view.read(0, 0, [A]) is None
    assert view.find(0, A) is None


def test_what_was_stored_is_read_with_its_position(view: View) -> None:
    assert view.advance(0, None, change(5, {A: b"a", B: b"\0\xff"}, words=b"w", meta=b"\0meta"))
    assert view.load(0) == Snapshot(5, b"\0meta", b"w", b"\0mark")
    assert view.read(0, 5, [C, B, A]) == Reading(b"\0meta", {A: b"a", B: b"\0\xff"})
    assert view.find(0, B) == b"\0\xff"


def test_a_read_at_another_position_says_nothing(view: View) -> None:
    view.advance(0, None, change(5, {A: b"a"}))
    assert view.read(0, 4, [A]) is None
    assert view.read(0, None, [A]) is None


def test_a_change_from_another_position_is_not_made(view: View) -> None:
    view.advance(0, None, change(5, {A: b"a"}, words=b"w"))
    for position in (None, 4, 6):
        assert not view.advance(0, position, change(9, {A: b"x", B: b"x"}, words=b"x", rotate=True, meta=b"x"))
    assert view.load(0) == Snapshot(5, b"m", b"w", b"\0mark")
    assert view.read(0, 5, [A, B]) == Reading(b"m", {A: b"a"})


def test_a_change_made_twice_is_made_once(view: View) -> None:
    view.advance(0, None, change(5, {A: b"a"}))
    once = change(6, {A: b"b"}, rotate=True)
    assert view.advance(0, 5, once)
    assert not view.advance(0, 5, once)
    assert view.read(0, 6, [A]) == Reading(b"m", {A: b"b"})


def test_words_stay_until_they_grow(view: View) -> None:
    view.advance(0, None, change(1, {}, words=b"w"))
    view.advance(0, 1, change(2, {}))
    assert view.load(0).words == b"w"
    view.advance(0, 2, change(3, {}, words=b"ww"))
    assert view.load(0).words == b"ww"


def test_the_newer_generation_stands_and_the_older_one_is_dropped_at_the_second_rotation(view: View) -> None:
    view.advance(0, None, change(1, {A: b"a1", B: b"b1", C: b"c1"}))
    view.advance(0, 1, change(2, {A: b"a2"}, rotate=True))
    assert view.read(0, 2, [A, B, C]) == Reading(b"m", {A: b"a2", B: b"b1", C: b"c1"})
    assert (view.find(0, A), view.find(0, B)) == (b"a2", b"b1")
    view.advance(0, 2, change(3, {B: b"b3"}, rotate=True))
    assert view.read(0, 3, [A, B, C]) == Reading(b"m", {A: b"a2", B: b"b3"})


def test_a_rotation_without_entries_drops_the_older_generation(view: View) -> None:
    view.advance(0, None, change(1, {A: b"a"}))
    for position in (1, 2):
        view.advance(0, position, change(position + 1, {}, rotate=True))
    assert view.read(0, 3, [A]) == Reading(b"m", {})


def test_an_erased_id_is_in_no_generation_but_for_the_entry_that_says_so(view: View) -> None:
    view.advance(0, None, change(1, {A: b"a1", B: b"b1"}))
    view.advance(0, 1, change(2, {C: b"c1"}, rotate=True))

    erased = replace(change(3, {A: b"erased", C: b"erased"}), erased=(A, C))
    assert view.advance(0, 2, erased)

    assert view.load(0) == Snapshot(3, b"m", b"", b"\0mark")
    assert view.read(0, 3, [A, B, C]) == Reading(b"m", {A: b"erased", B: b"b1", C: b"erased"})
    view.advance(0, 3, change(4, {A: b"a2"}, rotate=True))
    assert view.find(0, A) == b"a2"
    assert view.find(0, B) is None


def test_a_scan_finds_every_id_of_both_generations(view: View) -> None:
    many = {number.to_bytes(16, "big"): b"e" for number in range(3_000)}
    view.advance(0, None, change(1, {A: b"a"}))
    view.advance(0, 1, change(2, {B: b"b", **many}, rotate=True))
    view.advance(1, None, change(1, {C: b"c"}))

    found = [identity for ids in view.scan(0) for identity in ids]

    assert set(found) == {A, B, *many}
    assert [*view.scan(2)] in ([], [[], []])


def test_shards_do_not_see_each_other(view: View) -> None:
    view.advance(0, None, change(5, {A: b"a"}))
    assert view.load(1) == Snapshot(None)
    view.advance(1, None, change(7, {B: b"b"}))
    view.drop(0)
    assert view.load(0) == Snapshot(None)
    assert view.find(0, A) is None
    assert view.read(1, 7, [B]) == Reading(b"m", {B: b"b"})


def test_a_shard_that_was_dropped_to_be_told_again_says_so_until_it_is_rebuilt(view: View) -> None:
    view.advance(0, None, change(5, {A: b"a"}))

    view.drop(0, aloud=True)
    before = view.load(0), view.read(0, None, [A])
    view.advance(0, None, change(1, {B: b"b"}))

    assert before == (Snapshot(None, aloud=True), Reading())
    assert view.read(0, 1, [A, B]) == Reading(b"m", {B: b"b"})
    view.drop(0)
    assert view.load(0) == Snapshot(None)


def test_thousands_of_entries_go_in_one_step(view: View) -> None:
    entries = {n.to_bytes(16, "big"): b"%d" % n for n in range(9_001)}
    view.advance(0, None, change(1, entries))
    assert view.read(0, 1, list(entries)) == Reading(b"m", entries)


@pytest.mark.e2e
def test_a_rebuild_starts_clean_when_only_the_position_was_lost(
    redis_view: RedisView, client: redis.Redis, settings: Settings
) -> None:
    redis_view.advance(0, None, change(1, {A: b"a"}))
    redis_view.advance(0, 1, change(2, {B: b"b"}, rotate=True))
    client.delete(keys(settings, 0)[0])
    assert redis_view.load(0) == Snapshot(None)
    assert redis_view.read(0, None, [A, B]) == Reading()
    redis_view.advance(0, None, change(1, {C: b"c"}))
    assert redis_view.read(0, 1, [A, B, C]) == Reading(b"m", {C: b"c"})


@pytest.mark.e2e
@pytest.mark.parametrize("generation", [1, 2])
def test_a_view_that_lost_entries_is_not_intact(
    redis_view: RedisView, client: redis.Redis, settings: Settings, generation: int
) -> None:
    redis_view.advance(0, None, change(1, {A: b"a"}))
    redis_view.advance(0, 1, change(2, {B: b"b"}, rotate=True))
    client.delete(keys(settings, 0)[generation])
    assert redis_view.load(0) == Snapshot(2, b"m", b"", b"\0mark", intact=False)
    assert redis_view.read(0, 2, [A, B]) is None
    assert redis_view.advance(0, 2, change(3, {C: b"c"})) is False  # it would hide the loss
    assert redis_view.load(0) == Snapshot(2, b"m", b"", b"\0mark", intact=False)
    redis_view.drop(0)
    assert redis_view.load(0) == Snapshot(None)


@pytest.mark.e2e
def test_a_shard_is_three_keys_in_one_slot(redis_view: RedisView, client: redis.Redis, settings: Settings) -> None:
    redis_view.advance(3, None, change(1, {A: b"a"}))
    redis_view.advance(3, 1, change(2, {B: b"b"}, rotate=True))
    found = sorted(key.decode() for key in client.scan_iter(f"*{settings.installation}*"))
    assert found == sorted(keys(settings, 3))


@pytest.mark.e2e
def test_shards_are_spread_over_the_nodes_of_a_cluster_and_each_is_on_one(cluster: str) -> None:
    settings = Settings(redis_url=cluster, installation="spread")
    owned = RedisView(settings.redis, installation=settings.installation, shards=16, is_owner=True)
    for shard in range(16):
        assert owned.load(shard) == Snapshot(None)
        owned.advance(shard, None, change(1, {A: b"a"}))
        owned.advance(shard, 1, change(2, {B: b"b"}, rotate=True))
    owned.close()

    with nodes(cluster) as clients:
        held = [[key.decode() for key in node.scan_iter("*spread*")] for node in clients]

    shards = [{key.partition("}")[0] for key in keys} for keys in held]
    assert [len(keys) for keys in held] == [3 * len(names) for names in shards]
    assert sum(map(len, shards)) == 16
    assert all(shards)


@pytest.mark.e2e
def test_the_joiners_user_may_do_all_it_needs_on_a_cluster(cluster: str) -> None:
    word = uuid.uuid4().hex
    settings = Settings(
        redis_url=cluster, redis_username="joiner", redis_password=word, installation="granted", halves_partitions=4
    )
    (grant,) = (grant for grant in redis_grants(settings) if grant.role == "joiner")
    tell_nodes(cluster, f"{grant.rule('joiner')} >{word}")

    view = RedisView(settings.redis, installation="granted", shards=4, is_owner=True)

    assert view.load(0) == Snapshot(None)
    assert view.advance(0, None, change(1, {A: b"a"}))
    assert view.read(0, 1, [A]) == Reading(b"m", {A: b"a"})
    view.drop(0)
    view.close()


@pytest.mark.e2e
def test_scripts_that_a_node_forgot_are_sent_again(cluster: str) -> None:
    settings = Settings(redis_url=cluster, installation="forgot")
    view = RedisView(settings.redis, installation=settings.installation, shards=4)
    view.advance(0, None, change(1, {A: b"a"}))
    with nodes(cluster) as clients:
        for node in clients:
            node.script_flush()

    assert view.advance(0, 1, change(2, {B: b"b"}))
    assert view.read(0, 2, [A, B]) == Reading(b"m", {A: b"a", B: b"b"})
    view.close()


def test_a_cluster_that_does_not_answer_is_away() -> None:
    with pytest.raises(Unavailable, match="Redis"):
        RedisView(Settings(redis_url="redis+cluster://127.0.0.1:1").redis, installation="main", shards=4)


@pytest.mark.e2e
def test_scripts_that_the_server_forgot_are_sent_again(redis_view: RedisView, client: redis.Redis) -> None:
    redis_view.advance(0, None, change(1, {A: b"a"}))
    client.script_flush()
    assert redis_view.advance(0, 1, change(2, {B: b"b"}))
    client.script_flush()
    assert redis_view.read(0, 2, [A]) == Reading(b"m", {A: b"a"})


@pytest.mark.e2e
def test_a_full_redis_is_away_and_keeps_what_it_has(redis_view: RedisView, client: redis.Redis) -> None:
    redis_view.advance(0, None, change(1, {A: b"a"}))
    client.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(Unavailable, match="Redis"):
            redis_view.advance(0, 1, change(2, {B: b"b"}))
    finally:
        client.config_set("maxmemory", "0")
    assert redis_view.read(0, 1, [A, B]) == Reading(b"m", {A: b"a"})


def test_a_redis_that_does_not_answer_is_away() -> None:
    nowhere = RedisView(Settings(redis_url="redis://127.0.0.1:1/0").redis, installation="main", shards=4)
    with pytest.raises(Unavailable, match="Redis"):
        nowhere.load(0)
    with pytest.raises(Unavailable, match="Redis"):
        nowhere.advance(0, None, change(1, {}))
    nowhere.close()
