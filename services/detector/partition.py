"""The fold of one partition of `driftline.observations`: accept each output once, hand it to its model, keep time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from services.detector.challengers.watch import Challengers
from services.detector.heartbeats import heartbeat
from services.detector.migrations import current, headed
from services.detector.outputs import Outputs
from services.detector.report import Sink
from services.detector.structs import decode_struct, encode_struct
from services.detector.warming import WarmingWatch
from services.detector.watch import Watch
from services.detector.watch_options import WatchOptions
from services.detector.watchdogs.fold import Watchdogs, WatchdogState
from shared.definition import Definition
from shared.errors import Corrupt, Newer
from shared.events.block import Block, BlockKind, Chain, decode
from shared.log import Outgoing, Record
from shared.measures import Measure
from shared.unreadable import UNREADABLE

MAX_VERSIONS = 4  # versions of a model watched at a time; the joiner keeps no more per request either


class Definitions(Protocol):
    """Model definitions and baselines by content hash.

    Raises: Unavailable while a hash is not known yet.
    """

    def definition(self, content_hash: str) -> Definition:
        """Return the definition."""
        ...

    def baseline(self, content_hash: str) -> bytes:
        """Return the encoded baseline."""
        ...

    def measures(self) -> Iterable[Measure]:
        """Return how full the memory of definitions is."""
        ...


class _Kept(msgspec.Struct):
    """A partition's state on the wire."""

    last: dict[int, int]
    log_time: int
    periods: dict[str, int]
    anchored: list[int]
    missing: dict[int, int]
    watchdogs: WatchdogState
    folds: dict[int, int]
    watches: list[tuple[str, str, int, str, bytes]]  # model, version, configuration version and hash, state
    challengers: bytes = b""  # empty in states from before there were any


@dataclass(frozen=True, slots=True)
class FoldOptions:
    """What is the same for every partition of an installation."""

    outputs: Outputs
    heartbeat_ms: int
    watch: WatchOptions
    watch_silence: bool = True  # a file ends without anything being amiss


class PartitionFold:
    """State after a prefix of one partition. `fold` is a pure function of the state and the record."""

    def __init__(self, partition: int, definitions: Definitions, options: FoldOptions, sink: Sink) -> None:
        self.partition = partition
        self.is_whole = False  # retention has not touched the log, so that every shard's beginning is in it
        self.last: dict[int, int] = {}  # shard to the sequence number accepted last
        self.folds: dict[int, int] = {}  # shard to the version of the fold that gave it
        self.anchored: list[int] = []  # shards whose beginning this fold never saw
        self.missing: dict[int, int] = {}  # shards of which outputs are missing, up to this one at least
        self.log_time = 0
        self.duplicates = 0  # copies dropped since the process started
        self.watches: dict[tuple[str, str], Watch | WarmingWatch] = {}
        self.watchdogs = Watchdogs(options.outputs, options.watch.code_version, of_silence=options.watch_silence)
        self.challengers = Challengers(options.outputs, options.watch.code_version, definitions.baseline)
        self.state_bytes: dict[tuple[str, str], int] = {}  # of each watch, in the snapshot taken or restored last
        self._periods: dict[str, int] = {}  # model to the whole heartbeats of log time at its last heartbeat
        self._definitions = definitions
        self._options = options
        self._sink = sink

    def fold(self, record: Record) -> list[Outgoing]:
        """Take one record and return what follows from it.

        An output that comes after one that is missing is not taken: the joiner writes both again, see `loss`.

        Raises:
            Corrupt: no valid block.
            Newer: of a fold that a later release has.
        """
        block = decode(record)
        if block.chain is None:
            raise Corrupt(f"{record.topic}-{record.partition}@{record.offset}: no place in a shard's outputs")
        if not self._accept(block.chain):
            return []
        self.log_time = max(self.log_time, record.timestamp_ms)
        found: list[Outgoing] = []
        if block.kind is not BlockKind.TICK:
            watch, closed = self._watch(block)
            found += closed
            found += watch.fold(block, self.log_time, self.last)
        if block.kind is BlockKind.LABELLED:
            newest = self._newest(block.model)
            found += self.challengers.fold(block, newest.definition, newest.configuration_version, self.log_time)
        found += self.watchdogs.fold(block, block.chain, self.log_time, self.watches)
        return found + self._heartbeats()

    @property
    def loss(self) -> str | None:
        """Return what is missing, and no later record has brought; None where nothing is."""
        for shard, upto in self.missing.items():
            return (
                f"outputs of shard {shard} between {self.last.get(shard, -1)} and {upto} are missing; "
                f"`driftline repair observations --shard {shard}` lets the joiner write them again"
            )
        return None

    def _accept(self, chain: Chain) -> bool:
        last = self.last.get(chain.shard, -1)
        if chain.seq <= last:
            self.duplicates += 1
            return False
        if not chain.follows(last, self.folds.get(chain.shard, chain.fold)):
            if chain.shard in self.last or self.is_whole:
                self.missing.setdefault(chain.shard, chain.prev)
                return False
            self.anchored.append(chain.shard)
        self.last[chain.shard], self.folds[chain.shard] = chain.seq, chain.fold
        self.missing.pop(chain.shard, None)
        return True

    def _watch(self, block: Block) -> tuple[Watch | WarmingWatch, list[Outgoing]]:
        """Return the block's model, under the highest configuration version that its log has named.

        The other part is what is said about incidents of watches that end here: of the same version under another
        configuration, or of the version that was first seen when there are too many.
        """
        key = (block.model, block.model_version)
        watch = self.watches.get(key)
        if watch is not None and block.stamp.config_version <= watch.configuration_version:
            return watch, []
        definition = self._definitions.definition(block.stamp.config_hash)
        if watch is not None and watch.same_watch(definition):
            watch.adopt(definition, block.stamp.config_version)
            return watch, []
        new = self._new_watch(definition, block.model_version, block.stamp.config_version)
        closed = self._end(key if watch is not None else self._one_too_many(block.model), definition)
        self.watches[key] = new
        return new, closed

    def _new_watch(
        self, definition: Definition, model_version: str, configuration_version: int
    ) -> Watch | WarmingWatch:
        if not definition.baseline_hash:
            return WarmingWatch(definition, model_version, configuration_version)
        baseline = self._definitions.baseline(definition.baseline_hash)
        return Watch(definition, model_version, configuration_version, baseline, self._options.watch, self._sink)

    def _newest(self, model: str) -> Watch | WarmingWatch:
        """Return a model's watch under the highest configuration version that its log has named."""
        of_model = (watch for (name, _), watch in self.watches.items() if name == model)
        return max(of_model, key=lambda watch: watch.configuration_version)

    def _one_too_many(self, model: str) -> tuple[str, str] | None:
        versions = [key for key in self.watches if key[0] == model]
        return versions[0] if len(versions) >= MAX_VERSIONS else None

    def _end(self, key: tuple[str, str] | None, successor: Definition) -> list[Outgoing]:
        return [] if key is None else self.watches.pop(key).end(self.log_time, successor)

    def _heartbeats(self) -> list[Outgoing]:
        period = self.log_time // self._options.heartbeat_ms
        versions: dict[str, list[Watch | WarmingWatch]] = {}
        for (model, _), watch in self.watches.items():
            versions.setdefault(model, []).append(watch)
        found = []
        for model, watches in versions.items():
            before = self._periods.setdefault(model, period)
            if period > before:
                self._periods[model] = period
                beat = heartbeat(model, watches, self.watchdogs, self.log_time)
                found.append(self._options.outputs.heartbeat(beat, period, self.log_time))
        return found

    def snapshot(self) -> bytes:
        """Return the state; equal prefixes give equal bytes."""
        states = {key: watch.snapshot() for key, watch in self.watches.items()}
        self.state_bytes = {key: len(state) for key, state in states.items()}
        kept = _Kept(
            last=dict(sorted(self.last.items())),
            log_time=self.log_time,
            periods=self._periods,
            anchored=self.anchored,
            missing=dict(sorted(self.missing.items())),
            folds=dict(sorted(self.folds.items())),
            watchdogs=self.watchdogs.state,
            watches=[
                (*key, watch.configuration_version, watch.configuration_hash, states[key])
                for key, watch in self.watches.items()
            ],
            challengers=self.challengers.snapshot(),
        )
        return headed(encode_struct(kept))

    def restore(self, state: bytes) -> None:
        """Become the fold that gave `state`.

        Raises:
            Corrupt: the bytes are of no detector, or of a version from which nothing leads to this one.
            Newer: a later release saved them.
        """
        try:
            self._become(decode_struct(current(state), _Kept))
        except (Corrupt, Newer) as exc:
            raise type(exc)(f"the checkpoint of partition {self.partition}: {exc}") from exc
        except UNREADABLE as exc:
            raise Corrupt(f"the checkpoint of partition {self.partition} does not read back: {exc}") from exc

    def _become(self, kept: _Kept) -> None:
        self.last, self.log_time = kept.last, kept.log_time
        self._periods, self.anchored, self.missing = kept.periods, kept.anchored, kept.missing
        self.watchdogs.state, self.folds = kept.watchdogs, kept.folds
        if kept.challengers:
            self.challengers.restore(kept.challengers)
        self.watches, self.state_bytes = {}, {}
        for model, version, configuration_version, content_hash, content in kept.watches:
            watch = self._new_watch(self._definitions.definition(content_hash), version, configuration_version)
            watch.restore(content)
            self.watches[model, version], self.state_bytes[model, version] = watch, len(content)
