"""A joiner's installation in memory: one broker, one view, a log with everything in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from services.joiner.adapters.memory_view import MemoryView
from services.joiner.asking import Asking, at_once
from services.joiner.meta import Counters, summary
from services.joiner.stage import JoinerStage
from services.joiner.view import View
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.events.block import decode
from shared.failpoints import Failpoints
from shared.log import Headers
from shared.shares import FixedShares, Shares
from shared.topics import Topics
from tests.kit.halves import HOUR, KEY, Half, L, P, labels, outgoing, predictions, tick

TOPICS = Topics(halves_partitions=2, observations_partitions=2)


def halves() -> list[Half]:
    """Return a log with everything in it: late and early labels, corrections, repeats, versions, expiry, ticks."""
    log: list[Half] = []
    for n in range(24):
        now = n * HOUR
        model = f"m{n % 3}"
        log += [
            (predictions(P(f"{n}"), P(f"{n + 1}"), model=model), now),
            (labels(L(f"{n}", "yes"), L(f"{n - 3}", "no"), L(f"{n + 6}"), model=model), now),
            (predictions(P(f"{n}"), version="v2", model=model), now),
            (labels(L(f"{n}", "no", ts=101, offset=n), model=model), now),
            (tick(), now),
        ]
    return log


class Installation:
    """One broker, one view, and what came out."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.broker = MemoryBroker(self.clock)
        self.broker.create(*TOPICS.specs())
        self.view = MemoryView()

    def joiner(
        self,
        *,
        view: View | None = None,
        fail: str = "",
        shards: Sequence[int] = (0, 1),
        shares: Shares | None = None,
        confirmed_ms: int | None = None,
        asking: Asking = at_once,
    ) -> JoinerStage:
        return JoinerStage(
            self.broker.reader(),
            self.broker.writer(),
            view or self.view,
            clock=self.clock,
            topics=TOPICS,
            key=KEY,
            shares=shares or FixedShares(shards),
            confirmed_ms=confirmed_ms,
            failpoints=Failpoints(fail),
            asking=asking,
        )

    def write(self, half: Half, shard: int = 0) -> None:
        block, log_time = half
        self.broker.append(outgoing(block, TOPICS.halves, shard, log_time))

    def drive(self, step: Callable[[int], object]) -> None:
        """Write the log to both shards a few records at a time, and step after each."""
        log = halves()
        for at in range(0, len(log), 4):
            for half in log[at : at + 4]:
                self.write(half, 0)
                self.write(half, 1)
            step(at // 4)

    def accepted(self) -> list[tuple[int, bytes | None, Headers]]:
        """Return what a receiver takes: each shard's outputs in order, repeats dropped, no gap."""
        last: dict[tuple[int, int], int] = {}
        taken = []
        for record in self.broker.records(TOPICS.observations):
            place = decode(record).chain
            assert place is not None
            source = (record.partition, place.shard)
            if place.seq > last.get(source, -1):
                assert place.prev == last.get(source, -1), "an observation is missing"
                last[source] = place.seq
                taken.append((record.partition, record.value, record.headers))
        return sorted(taken, key=lambda row: (row[0], dict(row[2])["shard"]))

    def counters(self, shard: int = 0) -> dict[str, Counters]:
        return summary(self.view.load(shard).meta)
