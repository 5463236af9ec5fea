"""Waiting for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_SECONDS = 60.0


def until(condition: Callable[[], T], satisfied: Callable[[T], bool]) -> T:
    """Return the first satisfying value; `condition` asks a server, and so takes its time."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not satisfied(value := condition()):
        assert time.monotonic() < end, f"still {value!r}"
    return value
