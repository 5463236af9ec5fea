"""Whether everything has gone through: follows the last event from service to service.

A service has passed it once it has read its log up to where that log ended when the service before had passed. Ticks
and heartbeats that come later do not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.log import TopicPartition

Offsets = dict[TopicPartition, int]


@dataclass(frozen=True, slots=True)
class Station:
    """One service: where its log ends now, and up to where it is done and will never go back."""

    name: str
    ends: Callable[[], Offsets]
    done: Callable[[], Offsets]

    def behind(self) -> int:
        """Return how many records it has still to do."""
        return _behind(self.ends(), self.done())


class Passage:
    """The last event's way through `stations`, in order of flow; everything was written to the first one's log."""

    def __init__(self, stations: Sequence[Station]) -> None:
        self._stations = list(stations)
        self._ends: Offsets | None = None

    def is_over(self) -> bool:
        """Look again; return whether the last station has passed it."""
        while self._stations:
            station = self._stations[0]
            if self._ends is None:
                self._ends = station.ends()
            if _behind(self._ends, station.done()):
                return False
            self._stations.pop(0)
            self._ends = None
        return True


def _behind(ends: Offsets, done: Offsets) -> int:
    return sum(max(0, end - done.get(source, 0)) for source, end in ends.items())
