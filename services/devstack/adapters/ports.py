"""Finding a port that nothing listens on."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterator

from services.devstack.ports import ATTEMPTS, UNCLAIMED, candidates
from services.devstack.stack import PortLost, StackFailed

_DRAWS = 200


def free_port(asked: int | None, usual: int, taken: tuple[int, ...] = ()) -> int:
    """Return a port of 127.0.0.1 that is free now and not in `taken`.

    Raises:
        StackFailed: the asked port is taken, or no port is free.
    """
    for port in candidates(asked, usual, _draw()):
        if port not in taken and _is_free(port):
            return port
    if asked:
        raise StackFailed(f"port {asked} is taken: stop what listens there, ask for another port, or ask for none")
    raise StackFailed(f"no free port between {UNCLAIMED.start} and {UNCLAIMED.stop} after {_DRAWS} draws")


def with_free_port(asked: int | None, usual: int, start: Callable[[int], None]) -> int:
    """Call `start(port)` until it finds its port still free, three times at most; return that port.

    Raises:
        StackFailed: the port was lost each time, or `start` failed for another reason.
    """
    for attempt in range(1, ATTEMPTS + 1):
        port = free_port(asked, usual)
        try:
            start(port)
        except PortLost:
            if attempt == ATTEMPTS:
                raise
        else:
            return port
    raise AssertionError("unreachable: the last attempt returns or raises")


def _draw() -> Iterator[int]:
    for _ in range(_DRAWS):
        yield UNCLAIMED[secrets.randbelow(len(UNCLAIMED))]


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that has just been closed does not keep its port from being listened on.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
