"""What every store of the notifier's books promises: book, alerts and outcomes move together, or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pytest
import redis

from services.notifier.adapters.memory_books import MemoryBooks
from services.notifier.adapters.redis_books import RedisBooks
from services.notifier.books import MAX_OUTCOMES, Books, Change, Fate, Outcome, Stored
from shared.errors import Corrupt, Unavailable
from shared.events.alert import IncidentEvent
from shared.settings import Settings


@pytest.fixture
def redis_books(settings: Settings) -> Iterator[RedisBooks]:
    books = RedisBooks(settings.redis, installation=settings.installation)
    yield books
    books.close()


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.e2e)])
def books(request: pytest.FixtureRequest) -> Books:
    """A store without books."""
    if request.param == "memory":
        return MemoryBooks()
    kept: RedisBooks = request.getfixturevalue("redis_books")
    return kept


@pytest.fixture
def client(settings: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.redis_url) as connected:
        yield connected


def change(
    book: bytes,
    added: Mapping[int, bytes] | None = None,
    dropped: Sequence[int] = (),
    outcomes: Sequence[Outcome] = (),
) -> Change:
    return Change(book, added or {}, dropped, outcomes)


def outcome(notice: str) -> Outcome:
    return Outcome(
        at="2026-03-01T00:00:00.000Z",
        notice=notice,
        fate=Fate.REFUSED,
        channel="ops",
        model="car_loan",
        about="i1",
        event=IncidentEvent.OPENED,
        repeat=2,
        attempts=3,
        reason="HTTP 410",
    )


def test_a_partition_that_was_never_stored_has_no_book(books: Books) -> None:
    assert books.load(0) is None
    assert list(books.outcomes(0)) == []


def test_a_book_is_read_with_the_alerts_and_outcomes_that_came_with_it(books: Books) -> None:
    assert books.advance(0, None, change(b"\0one\r\n", {7: b"seven", 2**40: b"\xff\0"}, outcomes=[outcome("n1")]))

    assert books.load(0) == Stored(b"\0one\r\n", {7: b"seven", 2**40: b"\xff\0"})
    assert list(books.outcomes(0)) == [outcome("n1")]


def test_a_later_book_keeps_the_alerts_that_are_not_dropped(books: Books) -> None:
    books.advance(0, None, change(b"one", {1: b"a", 2: b"b"}))

    assert books.advance(0, b"one", change(b"two", {3: b"c"}, [1], [outcome("n1")]))
    assert books.advance(0, b"two", change(b"three", outcomes=[outcome("n2"), outcome("n3")]))

    assert books.load(0) == Stored(b"three", {2: b"b", 3: b"c"})
    assert [o.notice for o in books.outcomes(0)] == ["n1", "n2", "n3"]


@pytest.mark.parametrize("before", [None, b"", b"other"])
def test_a_book_that_was_moved_meanwhile_stays_as_it_is(books: Books, before: bytes | None) -> None:
    books.advance(0, None, change(b"one", {1: b"a"}))

    assert not books.advance(0, before, change(b"two", {2: b"b"}, [1], [outcome("n1")]))

    assert books.load(0) == Stored(b"one", {1: b"a"})
    assert list(books.outcomes(0)) == []


def test_a_book_that_is_gone_is_not_moved(books: Books) -> None:
    assert not books.advance(0, b"one", change(b"two"))
    assert books.load(0) is None


def test_partitions_do_not_see_each_other(books: Books) -> None:
    books.advance(0, None, change(b"zero", {1: b"a"}))
    books.advance(1, None, change(b"one", outcomes=[outcome("n1")]))

    assert (books.load(0), books.load(1)) == (Stored(b"zero", {1: b"a"}), Stored(b"one", {}))
    assert list(books.outcomes(0)) == []


def test_the_delivery_log_keeps_the_last_outcomes(books: Books) -> None:
    books.advance(0, None, change(b"one", outcomes=[outcome(f"n{n}") for n in range(MAX_OUTCOMES)]))
    books.advance(0, b"one", change(b"two", outcomes=[outcome("last")]))

    kept = [o.notice for o in books.outcomes(0)]
    assert (len(kept), kept[0], kept[-1]) == (MAX_OUTCOMES, "n1", "last")


def test_thousands_of_alerts_move_at_once(books: Books) -> None:
    alerts = dict.fromkeys(range(16000), b"x" * 100)

    assert books.advance(0, None, change(b"one", alerts))
    assert books.advance(0, b"one", change(b"two", dropped=sorted(alerts)))

    assert books.load(0) == Stored(b"two", {})


@pytest.mark.e2e
def test_installations_do_not_see_each_other(redis_books: RedisBooks, settings: Settings) -> None:
    redis_books.advance(0, None, change(b"ours"))
    theirs = RedisBooks(settings.redis, installation=f"{settings.installation}x")

    assert theirs.load(0) is None
    theirs.close()


@pytest.mark.e2e
def test_the_keys_are_those_that_operators_are_told_of(
    redis_books: RedisBooks, client: redis.Redis, settings: Settings
) -> None:
    redis_books.advance(3, None, change(b"book", {7: b"alert"}, outcomes=[outcome("n1")]))
    key = f"{{driftline:{settings.installation}:notify:3}}"

    assert client.hget(f"{key}:b", "alert:7") == b"alert"
    assert client.llen(f"{key}:log") == 1


@pytest.mark.e2e
def test_alerts_without_a_book_belong_to_nothing(
    redis_books: RedisBooks, client: redis.Redis, settings: Settings
) -> None:
    client.hset(f"{{driftline:{settings.installation}:notify:0}}:b", "alert:7", "old")

    assert redis_books.load(0) is None
    redis_books.advance(0, None, change(b"one", {8: b"new"}))

    assert redis_books.load(0) == Stored(b"one", {8: b"new"})


@pytest.mark.e2e
def test_a_book_that_someone_else_changed_is_corrupt(
    redis_books: RedisBooks, client: redis.Redis, settings: Settings
) -> None:
    redis_books.advance(0, None, change(b"one"))
    client.hset(f"{{driftline:{settings.installation}:notify:0}}:b", "book", "two")

    with pytest.raises(Corrupt, match="a book that is not the marked one"):
        redis_books.load(0)


def test_a_redis_that_does_not_answer_is_away() -> None:
    nowhere = RedisBooks(Settings(redis_url="redis://127.0.0.1:1/0").redis, installation="main")

    with pytest.raises(Unavailable, match="Redis"):
        nowhere.load(0)
    with pytest.raises(Unavailable, match="Redis"):
        nowhere.advance(0, None, change(b"one"))
    with pytest.raises(Unavailable, match="Redis"):
        nowhere.outcomes(0)
