"""What every way of asking promises: each call is made, and whoever waits for it has what it returned or raised."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from threading import Event

import pytest

from services.joiner.adapters.threads import Threads
from services.joiner.asking import Asking, at_once
from shared.errors import Unavailable


@pytest.fixture
def threads() -> Iterator[Threads]:
    begun = Threads()
    yield begun
    begun.close()


@pytest.fixture(params=["at once", "threads"])
def asking(request: pytest.FixtureRequest, threads: Threads) -> Asking:
    return at_once if request.param == "at once" else threads


def test_the_answer_is_there_whenever_it_is_asked_for(asking: Asking) -> None:
    answers = [asking(partial(pow, number, 2)) for number in range(5)]

    assert [answer() for answer in reversed(answers)] == [16, 9, 4, 1, 0]


def test_what_a_call_raises_reaches_who_waits_for_it(asking: Asking) -> None:
    def fail() -> int:
        raise Unavailable("Redis is away")

    with pytest.raises(Unavailable, match="Redis is away"):
        asking(fail)()


def test_others_go_on_while_a_thread_asks(threads: Threads) -> None:
    folded = Event()

    answer = threads(lambda: folded.wait(timeout=60.0))
    folded.set()

    assert answer()
