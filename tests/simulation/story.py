"""Stories: what producers write and what goes wrong, turn by turn. The rest of a run follows from the seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from typing import Any

TURNS = 160  # of a run before everything is healed
HORIZON_MS = 12_000
REAL_WATCH_EVERY = 10  # seeds


class FaultKind(StrEnum):
    """What may happen between any two accesses of a process to the log or to Redis."""

    KILL = "kill"  # a process ends; another starts later
    STOP = "stop"  # a process is asked to end
    FREEZE = "freeze"  # a process stands still, another takes its place, then it goes on
    JOIN = "join"  # one more process of a service starts
    LOST_ACK = "lost acknowledgement"  # the next record is written, and its writer told that it is not
    LOST_REPLY = "lost reply"  # Redis executes its next command, and the caller hears nothing
    NO_REDIS = "no Redis"
    NO_KAFKA = "no Kafka"
    REWIND = "rewind"  # Redis loses its last commands
    RESTORE = "restore"  # Redis becomes what it was at some time
    WIPE = "wipe"
    JUMP = "jump"  # log time
    LEAP = "leap"  # log time, so far that the joiner asks before it takes such a record
    TRIM = "trim"  # a partition of the observations loses what a checkpoint in the log goes on from
    TRUNCATE = "truncate"  # the tail of a partition of the observations is lost


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong; `size`, from 0 to 1, says whom it hits and how much."""

    turn: int
    kind: FaultKind
    size: float


@dataclass(frozen=True, slots=True)
class Event:
    """What someone writes; `fields` of None is no JSON. A model without rows is a new definition."""

    turn: int
    kind: str  # prediction, label, definition or erasure
    fields: dict[str, Any] | None
    partition: int = 0


@dataclass(frozen=True, slots=True)
class Story:
    """Everything that a run is made of."""

    seed: int
    events: tuple[Event, ...]
    faults: tuple[Fault, ...]
    real_watch: bool = False  # the detector's own, not the light one
    shares_out: bool = False  # joiners share partitions out by a group, and so do detectors

    @property
    def trims(self) -> bool:
        """Return whether the observations lose their beginning."""
        return any(fault.kind is FaultKind.TRIM for fault in self.faults)

    @property
    def truncates(self) -> bool:
        """Return whether observations get lost: state may then depend on which copies were seen."""
        return any(fault.kind is FaultKind.TRUNCATE for fault in self.faults)

    @property
    def leaps(self) -> bool:
        """Return whether log time leaps."""
        return any(fault.kind is FaultKind.LEAP for fault in self.faults)

    def without(self, *, events: slice | None = None, faults: slice | None = None) -> Story:
        """Return the story with some events or faults left out."""
        shorter = self
        if events is not None:
            shorter = replace(shorter, events=_cut(self.events, events))
        if faults is not None:
            shorter = replace(shorter, faults=_cut(self.faults, faults))
        return shorter


def _cut(whole: tuple[Any, ...], gone: slice) -> tuple[Any, ...]:
    kept = list(whole)
    del kept[gone]
    return tuple(kept)


_WEIGHTS: dict[FaultKind, int] = {
    FaultKind.KILL: 7,
    FaultKind.STOP: 1,
    FaultKind.FREEZE: 6,
    FaultKind.JOIN: 2,
    FaultKind.LOST_ACK: 4,
    FaultKind.LOST_REPLY: 4,
    FaultKind.NO_REDIS: 2,
    FaultKind.NO_KAFKA: 1,
    FaultKind.REWIND: 5,
    FaultKind.RESTORE: 2,
    FaultKind.WIPE: 5,
    FaultKind.JUMP: 5,
    FaultKind.TRIM: 12,
    FaultKind.TRUNCATE: 10,
}


def told_by(seed: int) -> Story:
    """Return the story of a seed, the same one on every machine."""
    dice = Random(f"story {seed}")
    # What has lost its end and its beginning cannot be judged.
    spared = FaultKind.TRIM if dice.random() < 0.25 else FaultKind.TRUNCATE
    weights = {kind: weight for kind, weight in _WEIGHTS.items() if kind is not spared}
    kinds = dice.choices(list(weights), list(weights.values()), k=dice.randrange(14))
    faults = [_fault(dice, kind) for kind in kinds]
    written = [*_events(dice, requests=dice.randint(2, 5))]
    events = sorted([*written, *_erasures(Random(f"erasures {seed}"), written)], key=lambda event: event.turn)
    shares_out, sharing = _sharing(Random(f"shares {seed}"))
    faults = sorted([*faults, *sharing, *_leaps(Random(f"leaps {seed}"))], key=lambda fault: fault.turn)
    story = Story(seed, tuple(events), tuple(faults), shares_out=shares_out)
    # The state of the real one cannot be told by shard, which is how a log that has lost records is judged.
    return replace(story, real_watch=seed % REAL_WATCH_EVERY == 0 and not story.truncates)


def _fault(dice: Random, kind: FaultKind) -> Fault:
    return Fault(dice.randrange(5, TURNS), kind, dice.randrange(1000) / 1000)


def _sharing(dice: Random) -> tuple[bool, list[Fault]]:
    """Return whether partitions are shared out, and who comes and goes then beside all others."""
    if dice.random() >= 0.15:
        return False, []
    kinds = [FaultKind.JOIN, FaultKind.FREEZE, FaultKind.FREEZE, FaultKind.STOP, FaultKind.KILL]
    # A joiner or a detector: these come last in order of flow.
    return True, [replace(_fault(dice, kind), size=dice.uniform(0.5, 1.0)) for kind in dice.choices(kinds, k=5)]


def _leaps(dice: Random) -> list[Fault]:
    """Return the leaps of log time, of which most stories have none."""
    return [_fault(dice, FaultKind.LEAP) for _ in range(dice.choice((1, 1, 2)))] if dice.random() < 0.1 else []


def _events(dice: Random, requests: int) -> Iterator[Event]:
    for number in range(requests):
        yield from _request(dice, f"r{number}", dice.choice(("a", "b", "b")), dice.randrange(TURNS - 40))
    if dice.random() < 0.1:
        yield Event(dice.randrange(TURNS), "definition", {"model": "a", "label_horizon": "24s"})
    if dice.random() < 0.2:
        yield Event(dice.randrange(TURNS), dice.choice(("prediction", "label")), None)


def _erasures(dice: Random, written: list[Event]) -> Iterator[Event]:
    for event in written:
        if event.kind != "definition" and event.fields is not None and dice.random() < 0.08:
            request = {name: event.fields[name] for name in ("model", "request_id")}
            yield Event(dice.randrange(event.turn, TURNS + 1), "erasure", request)


def _request(dice: Random, request_id: str, model: str, begin: int) -> Iterator[Event]:
    """Yield what is written of one request: at most two predictions and three labels, and repeats of them."""
    later = [begin + round(dice.expovariate(1 / 25)) for _ in range(6)]
    said, truth = dice.randrange(2), dice.randrange(2)
    first = {"request_id": request_id, "model": model, "model_version": "v1", "prediction": said}
    label = {"request_id": request_id, "model": model, "label": truth}
    written: list[tuple[str, dict[str, Any]]] = []
    if dice.random() < 0.9:
        written.append(("prediction", first))
    if dice.random() < 0.2:
        written.append(("prediction", {**first, "model_version": "v2"}))
    if dice.random() < 0.1:
        written.append(("prediction", {**first, "prediction": 1 - said}))
    if dice.random() < 0.8:
        written.append(("label", label))
    if dice.random() < 0.25:
        written.append(("label", {**label, "label": 1 - truth, "label_version": 2}))
    if dice.random() < 0.1:
        written.append(("label", {**label, "label": 1 - truth, "label_version": 1}))
    if written and dice.random() < 0.4:
        written.append(dice.choice(written))
    turns = [begin, *sorted(later)]
    if dice.random() < 0.3:
        dice.shuffle(turns)
    for turn, (kind, fields) in zip(turns, written, strict=False):
        yield Event(min(turn, TURNS), kind, fields, dice.randrange(2))
