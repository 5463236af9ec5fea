"""Calls that go on in threads of their own: Redis works for one shard while another one is folded."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from services.joiner.asking import Answer

AT_ONCE = 2  # calls; Redis answers one after the other, and the next one is on its way by then


class Threads:
    """`Asking`. A call that nobody waits for any more is made all the same."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, "view")

    def __call__(self, call: Callable[[], Answer], /) -> Callable[[], Answer]:
        """Begin a call; return what waits for its end."""
        return self._pool.submit(call).result

    def close(self) -> None:
        """Make what has begun, and nothing else; idempotent."""
        self._pool.shutdown(cancel_futures=True)
