"""Which checkpoint a detector goes on from, and when one is saved where."""

from __future__ import annotations

import pytest

from services.detector.adapters.memory_checkpoints import MemoryCheckpoints
from services.detector.checkpoints import Checkpoint, Checkpoints
from services.detector.keeping import Keeping, Place
from shared.adapters.memory import ManualClock
from shared.bookmarks import NOWHERE
from shared.errors import Newer
from tests.kit.keeping import SEAL, keeping, kept, put


class Slow(MemoryCheckpoints):
    """Another place."""

    name = "slow"


@pytest.fixture
def fast() -> MemoryCheckpoints:
    return MemoryCheckpoints()


@pytest.fixture
def slow() -> Slow:
    return Slow()


def flip(place: MemoryCheckpoints) -> None:
    """Change a bit of what is kept of partition 0."""
    position, sealed = place.kept[0]
    place.kept[0] = position, sealed[:-40] + bytes([sealed[-40] ^ 1]) + sealed[-39:]


def position(place: Checkpoints) -> int | None:
    found = kept(place, 0)
    return None if found is None else found.position


@pytest.mark.parametrize(("in_fast", "in_slow", "taken"), [(5, 3, 5), (3, 5, 5), (5, None, 5), (None, 5, 5)])
def test_the_newest_counts_wherever_it_is(
    fast: MemoryCheckpoints, slow: Slow, in_fast: int | None, in_slow: int | None, taken: int
) -> None:
    for place, position in ((fast, in_fast), (slow, in_slow)):
        if position is not None:
            put(place, 0, Checkpoint(position, b"%d" % position))

    assert keeping(fast, slow).newest(0) == (Checkpoint(taken, b"%d" % taken), None)


def test_without_any_there_is_none(fast: MemoryCheckpoints, slow: Slow) -> None:
    assert keeping(fast, slow).newest(0) == (None, None)


def test_one_that_is_not_whole_is_passed_over_and_counted(fast: MemoryCheckpoints, slow: Slow) -> None:
    put(fast, 0, Checkpoint(5, b"five"))
    put(slow, 0, Checkpoint(3, b"three"))
    flip(fast)
    both = keeping(fast, slow)

    checkpoint, problem = both.newest(0)

    assert checkpoint == Checkpoint(3, b"three")
    assert str(problem) == "the checkpoint of partition 0 in memory at 5: its checksum differs"
    assert both.passed_over == {"memory": 1, "slow": 0}


def test_one_that_is_not_whole_gives_way_to_an_older_position(fast: MemoryCheckpoints, slow: Slow) -> None:
    put(fast, 0, Checkpoint(5, b"five"))
    flip(fast)
    both = keeping(fast, slow)
    both.newest(0)

    both.save(0, 4, NOWHERE, lambda: b"four")

    assert (position(fast), position(slow)) == (4, 4)


def test_where_none_is_whole_it_is_said_why(fast: MemoryCheckpoints) -> None:
    put(fast, 0, Checkpoint(5, b"five"))
    flip(fast)

    checkpoint, problem = keeping(fast).newest(0)

    assert checkpoint is None
    assert "checksum" in str(problem)


def test_a_later_release_s_is_not_passed_over(fast: MemoryCheckpoints, slow: Slow) -> None:
    put(fast, 0, Checkpoint(3, b"three"))
    sealed = SEAL.close(0, Checkpoint(5, b"five")).replace(b"checkpoint/2", b"checkpoint/9")
    slow.put_if_newer(0, 5, sealed)

    with pytest.raises(Newer):
        keeping(fast, slow).newest(0)


def test_each_place_has_its_own_time(fast: MemoryCheckpoints, slow: Slow) -> None:
    clock = ManualClock()
    both = Keeping([Place(fast), Place(slow, 180.0)], SEAL, clock)
    both.newest(0)

    both.save(0, 1, NOWHERE, lambda: b"one")
    assert (position(fast), position(slow)) == (1, None)

    clock.sleep(180.0)
    both.save(0, 2, NOWHERE, lambda: b"two")
    assert (position(fast), position(slow)) == (2, 2)

    clock.sleep(179.0)
    both.save(0, 3, NOWHERE, lambda: b"three")
    assert (position(fast), position(slow)) == (3, 2)


def test_the_last_one_is_saved_everywhere_once(fast: MemoryCheckpoints, slow: Slow) -> None:
    both = Keeping([Place(fast), Place(slow, 180.0)], SEAL, ManualClock())
    both.newest(0)
    both.save(0, 1, NOWHERE, lambda: b"one")

    both.save(0, 1, NOWHERE, lambda: b"one", is_last=True)

    assert (position(fast), position(slow), both.saved) == (1, 1, 2)


def test_a_state_is_asked_for_only_where_one_is_due(fast: MemoryCheckpoints) -> None:
    put(fast, 0, Checkpoint(5, b"five"))
    here = keeping(fast)
    here.newest(0)

    here.save(0, 5, NOWHERE, lambda: pytest.fail("nothing has moved"))

    assert here.saved == 0


def test_one_that_a_place_has_lost_is_saved_again(fast: MemoryCheckpoints) -> None:
    here = keeping(fast)
    here.save(0, 5, NOWHERE, lambda: b"five")
    fast.kept.clear()
    here.newest(0)

    here.save(0, 5, NOWHERE, lambda: b"five")

    assert position(fast) == 5
