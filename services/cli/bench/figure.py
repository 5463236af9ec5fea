"""What a benchmark measures, and what is promised of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import msgspec

from shared.errors import DriftlineError
from shared.settings import Settings

NAMES = (
    "consumer",
    "joiner",
    "rebuild",
    "detector",
    "blocks",
    "banks",
    "engine",
    "scale",
    "state",
    "performance",
    "redis",
    "startup",
    "restart",
    "peers",
)
ONLY_BY_NAME = ("peers",)  # what they compare with must be installed, which takes minutes


class BenchFailed(DriftlineError):
    """A benchmark cannot run; the text says why."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number of a benchmark. Its median must not be below `floor` nor above `limit`."""

    name: str
    unit: str
    what: str
    floor: float | None = None
    limit: float | None = None

    def holds(self, value: float) -> bool:
        """Return whether `value` is what is promised."""
        return (self.floor is None or value >= self.floor) and (self.limit is None or value <= self.limit)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a benchmark runs: `settings` lead to servers of its own, with topics and keys that nothing else uses."""

    settings: Settings
    events: int  # how many, where a benchmark's size can be chosen


Measure = Callable[[], Mapping[str, float]]  # one run: a value for each figure, by name


class Bench(Protocol):
    """One benchmark: its figures, and how to measure them all in one run."""

    figures: Sequence[Figure]
    needs_stack: bool  # Kafka and Redis

    def ready(self, place: Place) -> AbstractContextManager[Measure]:
        """Prepare everything that is not measured; the measure can be repeated until the context ends."""
        ...
