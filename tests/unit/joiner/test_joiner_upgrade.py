"""Two releases at one shard: the next one goes on amid a batch of the one before, which then stops."""

from __future__ import annotations

import pytest

from shared.errors import Newer
from shared.events.block import FOLD, decode
from shared.failpoints import Died
from tests.kit.halves import HOUR, L, P, labels, predictions, tick
from tests.kit.joining import TOPICS, Installation
from tests.kit.next_release import NEXT, next_release
from tests.kit.observations import accepted


def folds(run: Installation) -> list[int]:
    chains = (decode(record).chain for record in run.broker.records(TOPICS.observations))
    return [chain.fold for chain in chains if chain is not None]


def test_the_next_release_repeats_a_batch_by_its_own_fold_and_nothing_is_lost_or_taken_twice() -> None:
    run = Installation()
    dying = run.joiner(fail="joiner.before_cas:exit@1")
    for half in [(predictions(P("a")), 0), (labels(L("a")), 0), (predictions(P("b")), 0), (tick(), HOUR)]:
        run.write(half)
    with pytest.raises(Died):
        dying.step(0.0)
    before = len(folds(run))

    with next_release():
        run.write((labels(L("b")), HOUR))
        run.joiner().step(0.0)
        taken = accepted(run.broker.records(TOPICS.observations))
        given = folds(run)

    chains = [block.chain for block in taken if block.chain is not None]
    assert set(given[:before]) == {FOLD}
    assert set(given[before:]) == {NEXT}
    assert len(given) - len(taken) == before - 2  # the tick of each partition has no copy
    assert sum(block.rows for block in taken) == 4
    # Its first output that is new names the one before the tick, which it did not repeat.
    assert chains[-1].fold == NEXT
    assert chains[-1].prev < max(chain.seq for chain in chains[:-1] if chain.shard == chains[-1].shard)


def test_a_joiner_that_is_overtaken_by_the_next_release_stops() -> None:
    run = Installation()
    old = run.joiner()
    run.write((predictions(P("a")), 0))
    old.step(0.0)
    run.write((predictions(P("b")), 0))
    with next_release():
        run.joiner().step(0.0)
    run.write((predictions(P("c")), 0))

    old.step(0.0)  # finds the view elsewhere
    with pytest.raises(Newer, match=f"the view is of fold {NEXT}, this release knows up to {FOLD}"):
        old.step(0.0)
    with pytest.raises(Newer, match=f"the view is of fold {NEXT}"):
        run.joiner().step(0.0)
