"""The models that are watched now, each with its codec: what the catalogue says, ready for the next record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial

from shared.definition import Catalogue, Definition
from shared.events.block import Stamp
from shared.identity import ID_BYTES, IdKey
from shared.ingest.codec import Codec, CodecFactory
from shared.log import TopicPartition

Counts = Counter[tuple[str, str]]  # (model, documented code) to how often


class WatchedModel:
    """A model under one version of its definition; all rows of a block are of the same one."""

    __slots__ = (
        "_id_key",
        "_partitions",
        "_spread",
        "codec",
        "horizon_ms",
        "identities",
        "name",
        "only_partition",
        "stamp",
    )

    def __init__(self, definition: Definition, stamp: Stamp, codec: Codec, id_key: IdKey, partitions: int) -> None:
        self.name = definition.model
        self.stamp = stamp
        self.codec = codec
        self.horizon_ms = definition.spec.horizon_ms
        self.identities = id_key.requests(self.name)  # the keyed hashes of requests
        self._id_key = id_key
        self._spread = definition.spec.spread
        self._partitions = partitions
        # Where every row goes, if all rows of the model go to one partition.
        self.only_partition = self._hashed(bytes(ID_BYTES)) if self._spread == 1 else None

    def partition(self, identity: bytes) -> int:
        """Return the partition of `driftline.halves` where both halves of an id meet."""
        return self._hashed(identity) if self.only_partition is None else self.only_partition

    def _hashed(self, identity: bytes) -> int:
        return self._id_key.half_partition(self.name, identity, spread=self._spread, partitions=self._partitions)


class WatchedModels:
    """Follows the catalogue. A model that leaves it stays watched until the process ends, as its definition does."""

    def __init__(
        self, catalogue: Catalogue, codec: CodecFactory, id_key: IdKey, partitions: int, counts: Counts
    ) -> None:
        self.catalogue = catalogue
        self._codec = codec
        self._id_key = id_key
        self._partitions = partitions
        self._counts = counts
        self._by_name: dict[bytes, WatchedModel] = {}
        self.get: Callable[[bytes], WatchedModel | None] = self._by_name.get  # by name in UTF-8, if it is configured
        self.refresh()

    @property
    def only(self) -> bytes | None:
        """Return the model if there is one and no other: its name need not be looked for."""
        return next(iter(self._by_name)) if len(self._by_name) == 1 else None

    @property
    def resumed(self) -> Mapping[TopicPartition, int]:
        """Return the offsets below which dead letters of input logs are accepted; it follows the catalogue."""
        return self.catalogue.resumed

    @property
    def watched(self) -> list[WatchedModel]:
        """Return the models that are watched."""
        return [*self._by_name.values()]

    @property
    def names(self) -> list[str]:
        """Return what they are called."""
        return [name.decode() for name in self._by_name]

    def refresh(self) -> None:
        """Take up definitions that the catalogue has learned since the last call."""
        for name, hashed in self.catalogue.current.items():
            known = self._by_name.get(name.encode())
            version = self.catalogue.version(name)
            if known is None or (known.stamp.config_hash, known.stamp.config_version) != (hashed, version):
                self._by_name[name.encode()] = self._watched(self.catalogue.definitions[hashed], version)

    def _watched(self, definition: Definition, version: int) -> WatchedModel:
        codec = self._codec(definition, partial(self._saw, definition.model))
        stamp = definition.stamp(version, self._id_key.fingerprint)
        return WatchedModel(definition, stamp, codec, self._id_key, self._partitions)

    def _saw(self, model: str, what: str, times: int) -> None:
        if times:
            self._counts[model, what] += times
