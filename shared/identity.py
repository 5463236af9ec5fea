"""Who a prediction is: the keyed hash of (model, request id), and the partitions that follow from hashes.

The raw request id is never stored. The same hash places a half on its partition, so that nobody outside can steer load.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import lru_cache

ID_BYTES = 16


class IdKey:
    """The installation's key for request ids (`DRIFTLINE_ID_KEY`)."""

    __slots__ = ("_key", "fingerprint")

    def __init__(self, key: bytes) -> None:
        self._key = hashlib.blake2b(key, digest_size=32).digest()
        self.fingerprint = hashlib.blake2b(b"fingerprint", key=self._key, digest_size=4).hexdigest()

    def request(self, model: str, request_id: str) -> bytes:
        """Return the 16 bytes that stand for (model, request_id) everywhere inside."""
        (identity,) = self.requests(model)([request_id])
        return identity

    def requests(self, model: str) -> Callable[[Iterable[str]], list[bytes]]:
        """Return `request` for many requests of one model, with key and model hashed once for all of them."""
        begun = hashlib.blake2b(f"{model}\0".encode(), key=self._key, digest_size=ID_BYTES).copy

        def requests(request_ids: Iterable[str]) -> list[bytes]:
            identities = []
            for request_id in request_ids:
                whole = begun()
                whole.update(request_id.encode())
                identities.append(whole.digest())
            return identities

        return requests

    def levels(self, model: str, column: str) -> Callable[[str], str]:
        """Return what gives the 16 hexadecimal digits that stand for a value of a column that is `hash: true`.

        Another column's or model's hash of the same text is another one: nobody can follow a value through them.
        """
        begun = hashlib.blake2b(f"{model}\0{column}\0".encode(), key=self._key, digest_size=8, person=b"level").copy

        def level(text: str) -> str:
            whole = begun()
            whole.update(text.encode())
            return whole.hexdigest()

        return level

    def half_partition(self, model: str, identity: bytes, *, spread: int, partitions: int) -> int:
        """Return the partition of `driftline.halves`: both halves of an id meet, a slow model keeps full blocks."""
        return (self._number(model) + int.from_bytes(identity[:8], "big") % spread) % partitions

    def model_partition(self, model: str, partitions: int) -> int:
        """Return the partition of a model's observations."""
        return self._number(model) % partitions

    def _number(self, model: str) -> int:
        return int.from_bytes(hashlib.blake2b(model.encode(), key=self._key, digest_size=8).digest(), "big")


@lru_cache(maxsize=4_096)
def model_partition(model: str, partitions: int) -> int:
    """Return the partition of a model on topics that outsiders read (`alerts`, `retraining`): no key is needed."""
    return int.from_bytes(hashlib.blake2b(model.encode(), digest_size=8).digest(), "big") % partitions


def content_hash(content: bytes) -> str:
    """Return BLAKE2b-128 of `content` in hexadecimal; names immutable content in `driftline.control`."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()
