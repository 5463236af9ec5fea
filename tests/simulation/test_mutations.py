"""Each check that the proof rests on is taken away in turn, and the simulation must see that it is gone."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from services.detector.alert_log import AlertLog
from services.detector.logged_checkpoints import LoggedCheckpoints
from services.detector.partition import PartitionFold
from services.joiner.asking import Asking
from services.joiner.fold import Fold
from services.joiner.meta import Meta
from services.joiner.stage import JoinerStage
from services.joiner.view import Change, Reading
from shared.events.block import Block, Chain
from shared.log import Outgoing, Record, TopicPartition
from shared.shares import GroupShares
from tests.simulation.installation import Parts
from tests.simulation.ports import OnAck, SimulatedView, SimulatedWriter
from tests.simulation.redis import Content
from tests.simulation.story import told_by
from tests.simulation.verdict import account, shortest, verdict

SEEDS = 500  # within which a missing check must show


class UncheckedRead(SimulatedView):
    """Gives out entries wherever the shard stands."""

    def read(self, shard: int, position: int | None, ids: Sequence[bytes]) -> Reading | None:
        def read(content: Content) -> Reading | None:
            return content.view.read(shard, content.view.load(shard).position, ids)

        return self._redis.ask(f"read shard {shard} at {position}", read)


class UnfencedChange(SimulatedView):
    """Sets without comparing."""

    def _advanced(self, content: Content, shard: int, _position: int | None, change: Change) -> bool:
        return super()._advanced(content, shard, content.view.load(shard).position, change)


class UnawaitedWriter(SimulatedWriter):
    """Says that everything is written as soon as it is sent."""

    def send(self, message: Outgoing, on_ack: OnAck | None = None) -> None:
        super().send(message)
        if on_ack is not None:
            on_ack(message.partition or 0, -1)

    def flush(self) -> None:
        self.poll()


class NoDuplicateDrop(PartitionFold):
    """Takes copies, too."""

    def _accept(self, chain: Chain) -> bool:
        return super()._accept(chain) or chain.seq <= self.last[chain.shard]


class NoPrevCheck(PartitionFold):
    """Takes whatever is newer."""

    def _accept(self, chain: Chain) -> bool:
        return super()._accept(replace(chain, prev=self.last.get(chain.shard, -1)))


class NoExpiry(Fold):
    """Takes an entry for live as long as the view has it."""

    def _entry(self, identity: bytes, log_time: int) -> bytes | None:  # noqa: ARG002 - the method's signature
        return self._changed.get(identity) or self._stored.get(identity)


class RotatingView(SimulatedView):
    """Rotates when it is told to, and not with the change."""

    def rotate(self, shard: int) -> None:
        def rotate(content: Content) -> None:
            kept = content.view._shards.get(shard)
            if kept is not None:
                kept.older, kept.current = kept.current, {}

        self._redis.do(f"rotate shard {shard}", rotate)

    def advance(self, shard: int, position: int | None, change: Change) -> bool:
        return super().advance(shard, position, replace(change, rotate=False))


class RotatesBeforeTheRead(JoinerStage):
    """Drops the older generation before it reads the entries of the batch that makes it old."""

    def _join(
        self, number: int, shard: object, batch: Sequence[tuple[Record, Block]], ask: Asking
    ) -> Generator[None, None, bool]:
        assert isinstance(self._view, RotatingView)
        meta = self._view.load(number).meta
        kept = Meta.unpack(meta) if meta else Meta.fresh(0)
        last = max(record.timestamp_ms for record, _ in batch)
        if meta and kept.period and last - kept.generation >= kept.period:
            self._view.rotate(number)
        return super()._join(number, shard, batch, ask)  # type: ignore[arg-type]  # the shard's type is the stage's own


class OneSlot(LoggedCheckpoints):
    """Writes over the only checkpoint that there is."""

    def _write(self, partition: int, slot: int, chunks: Sequence[bytes], manifest: bytes) -> None:
        super()._write(partition, slot * 0, chunks, manifest)


class Forgetful(AlertLog):
    """Says again what follows again."""

    def _last_said(self, partition: int) -> tuple[int, int]:  # noqa: ARG002 - the method's signature
        return -1, -1


class Hasty(AlertLog):
    """Does not wait for every commit before positions move."""

    def commit(self) -> None:
        if len(self._marks) > 1 or max(mark.offset for mark in self._marks.values()) % 2:
            super().commit()


class QuietPastTheMark(JoinerStage):
    """Takes all that there is of the halves for acknowledged."""

    def _acknowledged(self, source: TopicPartition) -> int:
        return self._reader.bounds(source).high if super()._acknowledged(source) else 0


class DeafShares(GroupShares):
    """Keeps what it was given first, whoever leaves."""

    def held(self) -> frozenset[int]:
        now = super().held()
        self.first: frozenset[int] = getattr(self, "first", frozenset()) or now
        return self.first & now


class LeapsAhead(JoinerStage):
    """Takes every time that the log has."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **{**named, "confirmed_ms": None})


class LoudRebuild(JoinerStage):
    """Writes all observations again where the view is gone."""

    def _acknowledged(self, source: TopicPartition) -> int:
        return super()._acknowledged(source) * 0


MUTATIONS = {
    "joiners and detectors that do not take up what others leave": Parts(shares=DeafShares),
    "a joiner that takes a leap of log time without asking": Parts(joiner=LeapsAhead),
    "a rebuild that writes again what is acknowledged": Parts(joiner=LoudRebuild),
    "a rebuild that is silent past what is acknowledged": Parts(joiner=QuietPastTheMark),
    "a read that does not compare positions": Parts(view=UncheckedRead),
    "a change that does not compare positions": Parts(view=UnfencedChange),
    "a joiner whose position moves before the acknowledgements": Parts(joiner_writer=UnawaitedWriter),
    "a detector whose position moves before its alerts are committed": Parts(alerts=Hasty),
    "consumers that commit before the acknowledgements": Parts(ingest_writer=UnawaitedWriter),
    "a detector that takes copies": Parts(accepts=NoDuplicateDrop),
    "a detector that does not look for gaps": Parts(accepts=NoPrevCheck),
    "entries that do not expire by themselves": Parts(joins=NoExpiry),
    "alerts that are said again": Parts(alerts=Forgetful),
    "checkpoints in the log that are written over each other": Parts(logged=OneSlot),
    "a rotation before the read": Parts(joiner=RotatesBeforeTheRead, view=RotatingView),
}


# The first stories that show what is seldom seen. Where they no longer do, the search among all only takes longer.
SHOWN_BY = {
    "checkpoints in the log that are written over each other": 279,
    "a change that does not compare positions": 121,
    "a rotation before the read": 110,
    "a detector that does not look for gaps": 51,
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_check_that_is_gone_is_seen(name: str) -> None:
    seeds = (SHOWN_BY.get(name, 1), *range(1, SEEDS))

    assert any(verdict(told_by(seed), MUTATIONS[name]).problem for seed in seeds)


def test_of_a_failure_the_shortest_story_is_told() -> None:
    parts = MUTATIONS["a detector that takes copies"]
    failing = next(found for found in (verdict(told_by(seed), parts) for seed in range(1, SEEDS)) if found.problem)

    shorter = shortest(failing, parts)

    story = shorter.story
    shortened = [story.without(events=slice(at, at + 1)) for at in range(len(story.events))]
    shortened += [story.without(faults=slice(at, at + 1)) for at in range(len(story.faults))]
    assert len(story.events) + len(story.faults) < len(failing.story.events) + len(failing.story.faults)
    assert verdict(story, parts).problem == shorter.problem
    assert [verdict(other, parts).problem for other in shortened] == [None] * len(shortened)
    assert account(failing, shorter).endswith(f'again: make simulate ARGS="--seed {failing.story.seed}"')
