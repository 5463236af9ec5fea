"""Which ports a server may try, in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

KAFKA = 9092
REDIS = 6379
ATTEMPTS = 3  # starts of one server, when another program binds the chosen port first

# Below the ephemeral ranges of Linux (32768) and macOS (49152): there, an outgoing connection could take the port
# of a server that is down, or a client that reconnects to it could be connected to itself.
UNCLAIMED = range(20_000, 32_000)


def candidates(asked: int | None, usual: int, unclaimed: Iterable[int]) -> Iterator[int]:
    """Yield the ports to try: the asked one alone, or `usual` (left out when 0 is asked) and then `unclaimed`."""
    if asked:
        yield asked
        return
    if asked is None:
        yield usual
    yield from unclaimed
