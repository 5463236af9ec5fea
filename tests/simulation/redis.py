"""A Redis whose past is kept: what it holds is what a chain of commands made, and every chain that ever was may return.

The append-only file that loses its last second, the replica that lags and is promoted, the backup that is put back and
the empty server are all the same thing: another prefix of the commands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from services.detector.adapters.memory_checkpoints import MemoryCheckpoints
from services.joiner.adapters.memory_view import MemoryView

T = TypeVar("T")


class Content:
    """What a Redis holds: the view of every shard, and the checkpoints."""

    def __init__(self) -> None:
        self.view = MemoryView()
        self.checkpoints = MemoryCheckpoints()


Command = Callable[[Content], T]


class Moment(NamedTuple):
    """A state of Redis: the one before, and the command that led here; None of both is the empty one."""

    before: Moment | None = None
    command: Command[object] | None = None


class Redis:
    """One server. Every command is atomic."""

    def __init__(self) -> None:
        self.content = Content()
        self.moments = [Moment()]  # all that ever were, in order
        self._now = self.moments[0]

    def do(self, command: Command[T]) -> T:
        """Execute a command that may write."""
        self._now = Moment(self._now, command)
        self.moments.append(self._now)
        return command(self.content)

    def ask(self, command: Command[T]) -> T:
        """Execute a command that only reads."""
        return command(self.content)

    def become(self, moment: Moment) -> None:
        """Go to any moment that ever was."""
        self._now, self.content = moment, Content()
        commands: list[Command[object]] = []
        while moment.before is not None and moment.command is not None:
            commands.append(moment.command)
            moment = moment.before
        for command in reversed(commands):
            command(self.content)

    def rewind(self, steps: int) -> None:
        """Lose the last commands."""
        moment = self._now
        for _ in range(steps):
            moment = moment.before or moment
        self.become(moment)
