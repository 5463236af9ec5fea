"""A light stand-in for `services.detector.watch.Watch`: what it keeps depends on every row that it is given, in order.

An output that is missed, taken twice or out of order gives other state and other alerts. Folding costs next to nothing,
so that most stories can be told with it; the others are told with the detector's own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any

import msgspec

from services.detector.report import Sink
from services.detector.watch import Watch
from services.detector.watch_options import WatchOptions
from shared.definition import Definition
from shared.events.block import Block
from shared.identity import content_hash
from shared.log import Outgoing


class LightState(msgspec.Struct):
    """What is kept of a model version."""

    rows: dict[str, int] = {}  # by kind
    by_shard: dict[str, bytes] = {}  # digest of the blocks of each shard, in order
    digest: bytes = b""  # of all blocks, with their log time


class LightWatch:
    """One model version under one configuration; all that it does not say of itself it says of an empty real one."""

    def __init__(
        self,
        definition: Definition,
        model_version: str,
        configuration_version: int,
        baseline: bytes,
        options: WatchOptions,
        sink: Sink,
    ) -> None:
        self.model_version = model_version
        self.configuration_version = configuration_version
        self.configuration_hash = definition.hash
        self.state = LightState()
        self._model = definition.model
        self._topics = options.outputs.topics
        self._real = partial(_real, definition.model, definition, baseline, options, sink)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    @property
    def rows_served(self) -> int:
        return self.state.rows.get("served", 0)

    @property
    def rows_labelled(self) -> int:
        return self.state.rows.get("labelled", 0)

    def same_watch(self, _definition: Definition) -> bool:
        return True

    def adopt(self, definition: Definition, configuration_version: int) -> None:
        self.configuration_version, self.configuration_hash = configuration_version, definition.hash

    def end(self, log_time: int, _successor: Definition) -> list[Outgoing]:
        return [self._alert(f"end {log_time}")]

    def fold(self, block: Block, log_time: int, _last: Mapping[int, int]) -> list[Outgoing]:
        state, chain, batch = self.state, block.chain, block.batch
        assert chain is not None
        assert batch is not None
        said = f"{block.kind} {chain} {content_hash(b''.join(batch.column('id').to_pylist()))}".encode()
        state.rows[block.kind] = state.rows.get(block.kind, 0) + block.rows
        shard = str(chain.shard)
        state.by_shard[shard] = _hashed(state.by_shard.get(shard, b"") + said)
        state.digest = _hashed(state.digest + said + b"%d" % log_time)
        return [self._alert(state.digest.hex())] if state.digest[0] < 128 else []

    def snapshot(self) -> bytes:
        return msgspec.msgpack.encode(self.state, order="sorted")

    def restore(self, content: bytes) -> None:
        self.state = msgspec.msgpack.decode(content, type=LightState)

    def _alert(self, text: str) -> Outgoing:
        value = f"{self._model} {self.model_version} {text}".encode()
        return Outgoing(self._topics.alerts, value, self._model.encode(), partition=0)


_known: dict[str, Watch] = {}


def _real(model: str, definition: Definition, baseline: bytes, options: WatchOptions, sink: Sink) -> Watch:
    if model not in _known:
        _known[model] = Watch(definition, "v1", 1, baseline, options, sink)
    return _known[model]


def _hashed(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
