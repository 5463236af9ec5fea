"""Asking the view: either everything waits for its answer, or other shards go on meanwhile.

A shard's own calls are made one after the other in either case, and those of two shards have nothing to do with each
other: what they leave behind is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

Answer = TypeVar("Answer")


class Asking(Protocol):
    """Begins calls."""

    def __call__(self, call: Callable[[], Answer], /) -> Callable[[], Answer]:
        """Begin a call; return what waits for its end, and returns or raises what it did."""
        ...


def at_once(call: Callable[[], Answer]) -> Callable[[], Answer]:
    """Make a call to its end."""
    answer = call()
    return lambda: answer
