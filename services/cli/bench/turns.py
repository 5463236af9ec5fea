"""Ways of doing the same work, timed against one another in turns, so that the machine is the same for all."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

Clock = Callable[[], float]
Ready = Callable[[], Callable[[], object]]  # prepares, which is not timed, and returns what is


def in_turns(clock: Clock, rounds: int, *ways: Ready) -> list[float]:
    """Return the seconds of each way: its median over `rounds` rounds, in each of which every way has its turn."""
    took: list[list[float]] = [[] for _ in ways]
    for _ in range(rounds):
        for seconds, ready in zip(took, ways, strict=True):
            work = ready()
            begun = clock()
            work()
            seconds.append(clock() - begun)
    return [median(seconds) for seconds in took]
