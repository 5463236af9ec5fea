"""What a consumer tells every fold: features that nobody asked for, and definitions that it has taken up."""

from __future__ import annotations

from collections.abc import Iterator

from shared.events.block import Block, BlockKind, Stamp, encode
from shared.events.news import News, TakenUp, UnknownFeatures
from shared.identity import ID_BYTES
from shared.ingest.models import WatchedModel, WatchedModels
from shared.log import Outgoing
from shared.topics import Topics

LOOK_SECONDS = 1.0  # between two looks
AGAIN_SECONDS = 600.0  # after which names that still come are told again
MAX_NAMES = 32  # of one record


class Announcing:
    """Knows what has been told. New names are told at once: a codec learns so few that nothing is flooded."""

    def __init__(self, topics: Topics, models: WatchedModels, now: float) -> None:
        self._topic = topics.halves
        self._models = models
        self._stamps: dict[str, Stamp] = {model.name: model.stamp for model in models.watched}
        self._told: dict[str, _Told] = {}  # by model
        self._looked_at = now

    def due(self, now: float) -> list[Outgoing]:
        """Return the records that tell what is new; looks once in LOOK_SECONDS."""
        if now - self._looked_at < LOOK_SECONDS:
            return []
        self._looked_at = now
        return [self._record(model, news) for model in self._models.watched for news in self._news(model, now)]

    def _news(self, model: WatchedModel, now: float) -> Iterator[News]:
        if self._stamps.get(model.name) != model.stamp:
            self._stamps[model.name] = model.stamp
            self._told.pop(model.name, None)
            yield TakenUp(model.name, model.stamp.config_version, model.stamp.config_hash)
        seen = model.codec.unknown_features()
        told = self._told.setdefault(model.name, _Told(now))
        told.waiting.update(seen)
        if told.waiting - told.names or (told.waiting and now - told.at >= AGAIN_SECONDS):
            listed = sorted(name for name in told.waiting if name)
            more = len(told.waiting) - min(len(listed), MAX_NAMES)
            yield UnknownFeatures(model.name, listed[:MAX_NAMES], more)
            told.tell(now)

    def _record(self, model: WatchedModel, news: News) -> Outgoing:
        """Return a tick that carries news, always by way of the same shard."""
        value, headers = encode(Block(BlockKind.TICK, news=news))
        return Outgoing(self._topic, value, partition=model.partition(bytes(ID_BYTES)), headers=headers)


class _Told:
    """The unknown names of a model under one definition; the empty one stands for all that may not name a feature."""

    __slots__ = ("at", "names", "waiting")

    def __init__(self, now: float) -> None:
        self.at = now
        self.names: set[str] = set()  # told at least once
        self.waiting: set[str] = set()  # came since they were told

    def tell(self, now: float) -> None:
        """Take note that all that waits is told."""
        self.at = now
        self.names |= self.waiting
        self.waiting = set()
