"""Processes that take turns: each runs until it is about to touch the log or Redis, then someone else may go on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from greenlet import greenlet


class Killed(BaseException):
    """What ends a process where it stands: no error, so that nothing in the product answers it."""


class Process:
    """One process of a service, as a coroutine. `at` names what it is about to do."""

    def __init__(self, role: str, number: int, body: Callable[[Process], None]) -> None:
        self.role = role
        self.name = f"{role}.{number}"
        self.at = "start"
        self.frozen_until = 0  # the turn at which it goes on
        self.steps = 0  # of its stage, so far
        self.has_worked = False  # in the last of them
        self.is_asked_to_stop = False
        self._coroutine = greenlet(lambda: body(self))

    @property
    def is_over(self) -> bool:
        """Return whether it has ended."""
        return bool(self._coroutine.dead)

    def go_on(self) -> None:
        """Run until the process pauses again or ends; what it raises is raised here."""
        self._coroutine.switch()

    def pause(self, at: str) -> None:
        """Called by the process: let others run before it does what `at` names."""
        self.at = at
        if self._coroutine.parent is not None:
            self._coroutine.parent.switch()

    def kill(self) -> None:
        """End the process where it stands, as `kill -9` does."""
        with suppress(Killed):
            self._coroutine.throw(Killed)
