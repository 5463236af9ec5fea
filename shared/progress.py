"""Health is progress: whether a loop comes round, whether it does its work or waits, and whether it moves on.

Whoever runs a stage tells of each turn; probes ask from another thread. What they are answered with is one immutable
value at a time, and of the stage they see the last snapshot only, taken between two turns.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import msgspec

from shared.clock import Clock
from shared.errors import Busy, Unavailable
from shared.flow import LAG, POSITION
from shared.log import TopicPartition
from shared.measures import Labels, Measure, number

# Longer than a step may wait for Kafka or Redis at most (a writer waits a minute for acknowledgements, then the process
# starts over by itself): an outage of a dependency is never answered with a restart.
STALLED_SECONDS = 90.0
SNAPSHOT_SECONDS = 1.0
SNAPSHOT_SHARE = 0.01  # of the loop's time that snapshots may take
MAX_REASON_CHARS = 500
BUSY, UNAVAILABLE = "busy", "unavailable"  # kinds of waiting


class State(StrEnum):
    """What a loop is doing."""

    STARTING = "starting"
    RUNNING = "running"
    STANDING = "standing"
    REBUILDING = "rebuilding"
    WAITING = "waiting"
    HALTED = "halted"
    STALLED = "stalled"
    STOPPING = "stopping"


class Answer(msgspec.Struct, frozen=True):
    """To a probe: yes or no, what the loop is doing, why, and since how many seconds."""

    ok: bool
    state: State
    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class _Phase:
    state: State
    reason: str
    since: float  # monotonic seconds


def _nothing() -> Iterable[Measure]:
    return ()


class Progress:
    """One process's progress. A process that starts is live and not ready, however long it takes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._phase = _Phase(State.STARTING, "", clock.monotonic())
        self._turned_at = clock.monotonic()
        self._turned_ms: int | None = None
        self._turns = 0
        self._waits: Counter[str] = Counter()
        self._look: Callable[[], Iterable[Measure]] = _nothing
        self._look_at = clock.monotonic()
        self._snapshot: tuple[Measure, ...] = ()
        self._standing: dict[Labels, tuple[float, float]] = {}  # log with unread records to where, and since when

    def watch(self, measures: Callable[[], Iterable[Measure]]) -> None:
        """Take snapshots of what `measures` returns from now on, on the thread that tells of turns."""
        self._look = measures

    def turned(
        self,
        *,
        is_ready: bool = True,
        halted: Mapping[TopicPartition, str] = MappingProxyType({}),
        rebuilding: str = "",
    ) -> None:
        """Take note that the loop came round; not `is_ready`: without doing the stage's work yet.

        halted: logs that are not read until someone has looked, with the reasons; the others are. rebuilding: what of
        the stage's state is made anew, and how far, before it does new work.
        """
        if halted:
            self._enter(State.HALTED, "; ".join(halted.values())[:MAX_REASON_CHARS])
        elif rebuilding:
            self._enter(State.REBUILDING, rebuilding)
        elif is_ready:
            self._enter(State.RUNNING, "")
        self._turn()

    def waits(self, error: Busy | Unavailable) -> None:
        """Take note that the loop came round to wait and to try the same again."""
        self._waits[BUSY if isinstance(error, Busy) else UNAVAILABLE] += 1
        self._enter(State.WAITING, str(error)[:MAX_REASON_CHARS])
        self._turn()

    def starts(self) -> None:
        """Take note that what the start waited for is there."""
        self._enter(State.STARTING, "")

    def stops(self) -> None:
        """Take note that the loop has ended: what is in hand is finished, nothing is begun."""
        self._enter(State.STOPPING, "")

    def live(self) -> Answer:
        """Answer whether the process is worth keeping."""
        phase, now, idle = self._phase, self._clock.monotonic(), self.idle_seconds
        if idle > STALLED_SECONDS:
            return Answer(False, State.STALLED, "the loop does not come round", round(idle, 1))
        return Answer(True, phase.state, phase.reason, round(now - phase.since, 1))

    @property
    def idle_seconds(self) -> float:
        """Return how long ago the loop came round last; 0 while it starts or stops."""
        if self._phase.state in (State.STARTING, State.STOPPING):
            return 0.0
        return self._clock.monotonic() - self._turned_at

    def ready(self) -> Answer:
        """Answer whether the stage does all its work: its last step ended well, and no log is halted or stands still.

        Who makes its state anew does no new work yet; who is connected and yet reads nothing of a log that holds more,
        none at all.
        """
        answer = self.live()
        if answer.state is State.RUNNING:
            now = self._clock.monotonic()
            for (topic, partition), (_, since) in self._standing.copy().items():
                if now - since > STALLED_SECONDS:
                    reason = f"{topic}-{partition} holds records, and its position stands still"
                    return Answer(False, State.STANDING, reason, round(now - since, 1))
        return msgspec.structs.replace(answer, ok=answer.state is State.RUNNING)

    def measures(self) -> Iterator[Measure]:
        """Yield what is known of the loop, then the stage's last snapshot; from any thread."""
        yield number("ready", "Whether /readyz answers 200.", self.ready().ok)
        yield number("loop_turns_total", "How often the loop came round.", self._turns)
        yield Measure(
            "loop_last_turn_timestamp_seconds",
            "When the loop came round last.",
            {} if self._turned_ms is None else {(): self._turned_ms / 1000},
        )
        yield Measure(
            "step_errors_total",
            "Steps that ended with an error and are tried again, by kind.",
            {(kind,): self._waits[kind] for kind in (BUSY, UNAVAILABLE)},
            ("kind",),
        )
        yield from self._snapshot

    def _enter(self, state: State, reason: str) -> None:
        before = self._phase
        if before.state is not State.STOPPING and (before.state, before.reason) != (state, reason):
            # A wait goes on while its reason changes.
            since = before.since if before.state is state else self._clock.monotonic()
            self._phase = _Phase(state, reason, since)

    def _turn(self) -> None:
        self._turns += 1
        now = self._clock.monotonic()
        self._turned_at, self._turned_ms = now, self._clock.now_ms()
        if now >= self._look_at:
            self._snapshot = tuple(self._look())
            self._standing = self._stands(now)
            self._look_at = now + max(SNAPSHOT_SECONDS, (self._clock.monotonic() - now) / SNAPSHOT_SHARE)

    def _stands(self, now: float) -> dict[Labels, tuple[float, float]]:
        """Return the logs of the snapshot that hold more than was read, and since when they stand where they are."""
        shown = {measure.name: measure.samples for measure in self._snapshot}
        positions, found = shown.get(POSITION, {}), dict[Labels, tuple[float, float]]()
        for source, lag in shown.get(LAG, {}).items():
            if lag > 0:
                position = positions.get(source, -1.0)
                before = self._standing.get(source)
                found[source] = (position, now) if before is None or before[0] != position else before
        return found
