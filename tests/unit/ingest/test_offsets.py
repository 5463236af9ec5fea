"""What may be committed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.ingest.offsets import OffsetTracker, SourceOffsets
from shared.log import TopicPartition

HERE, THERE = TopicPartition("predictions", 0), TopicPartition("predictions", 1)


def test_nothing_is_committed_past_the_oldest_row_in_hand() -> None:
    offsets = SourceOffsets()
    for offset in (5, 6, 9):
        offsets.take([offset])
    offsets.settle([9])
    offsets.settle([5])
    assert offsets.advance() == 6
    assert offsets.advance() is None
    offsets.settle([6])
    assert offsets.advance() == 10


def test_what_lies_before_a_second_reading_stays_in_hand() -> None:
    offsets = SourceOffsets()
    offsets.take([0])
    offsets.take([28])
    offsets.settle([28])
    offsets.take([1])
    assert offsets.advance() == 0
    offsets.settle([1])
    assert offsets.advance() is None
    offsets.settle([0])
    assert offsets.advance() == 2


def test_a_log_that_is_lost_commits_nothing() -> None:
    tracker = OffsetTracker()
    lost, kept = tracker.source(HERE), tracker.source(THERE)
    lost.take([1])
    kept.take([2])
    tracker.lose([HERE])
    lost.settle([1])
    kept.settle([2])
    assert lost.is_lost
    assert tracker.advance() == {THERE: 3}
    assert tracker.in_hand == 0


@given(st.lists(st.tuples(st.sampled_from(["take", "skip", "settle", "advance", "again"]), st.integers(0, 30))))
def test_a_commit_never_passes_a_row_in_hand_and_never_goes_back(steps: list[tuple[str, int]]) -> None:
    offsets, following, in_hand, committed = SourceOffsets(), 0, set[int](), -1
    for verb, number in [*steps, ("take", 0)]:
        match verb:
            case "take":
                in_hand -= {offset for offset in in_hand if offset > following}  # they will be read again
                offsets.take([following])
                in_hand.add(following)
                following += 1
            case "skip":
                following += number
            case "settle":
                offsets.settle([number])
                in_hand.discard(number)
            case "again":
                following = min(number, following)
            case _:
                moved = offsets.advance()
                assert moved is None or committed < moved <= min(in_hand, default=moved)
                committed = committed if moved is None else moved
    for offset in in_hand:
        offsets.settle([offset])
    moved = offsets.advance()
    assert moved == (following if following > committed else None)
    assert offsets.pending == 0
