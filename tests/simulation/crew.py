"""The processes of an installation: they start, take turns, freeze, die, and leave records under way behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Protocol

from shared.errors import Busy, LogIdentity, LogTime, Unavailable, Undelivered
from shared.stage import Stage
from tests.simulation.ports import SimulatedGroupReader, SimulatedWriter
from tests.simulation.scheduler import Process

MOST_PROCESSES = 3  # of a service


class Book(Protocol):
    """Who is told what happens."""

    def tell(self, text: str, counted: str = "") -> None:
        """Take note of something, and count it under a name."""
        ...


class Crew:
    """Every process there is. `services` are their roles, in order of flow."""

    def __init__(
        self,
        services: tuple[str, ...],
        build: Callable[[str], tuple[Stage, SimulatedWriter, SimulatedGroupReader | None]],
        repair: Callable[[str], None],
        book: Book,
        dice: Random,
    ) -> None:
        self.services = services
        self.processes: list[Process] = []
        self.current: Process | None = None
        self.due: dict[str, int] = {}  # services without a process, and the turn at which one starts
        self._build = build
        self._repair = repair  # what people do when a service stops with this error
        self._book = book
        self._dice = dice
        self._started: Counter[str] = Counter()
        self._writers: dict[Process, SimulatedWriter] = {}
        self._members: dict[Process, SimulatedGroupReader] = {}
        self._drifting: list[SimulatedWriter] = []  # of processes that are over, with records under way

    def start(self, service: str) -> Process:
        """Start one more process."""
        self._started[service] += 1
        process = Process(service, self._started[service], self._live)
        self.processes.append(process)
        return process

    def start_due(self, turn: int | None = None) -> None:
        """Start what is due at a turn, or everything that is to start some time."""
        for service, start in list(self.due.items()):
            if turn is None or start <= turn:
                del self.due[service]
                self.start(service)

    def go_on(self, process: Process, turn: int) -> None:
        """Let a process go on to its next access."""
        self.current = process
        try:
            process.go_on()
        finally:
            self.current = None
        if process.is_over:
            self._bury(process, start_at=turn + 1)

    def drift(self) -> None:
        """Let a record arrive that is under way; what a process that is over has sent may also get lost."""
        under_way = [*self._writers.values(), *self._drifting]
        if under_way:
            writer = self._dice.choice(under_way)
            arrived = writer.arrive()
            if writer in self._drifting and (not arrived or self._dice.random() < 0.2):
                self._drifting.remove(writer)

    def deliver(self) -> bool:
        """Let everything arrive that is under way; return whether there was anything."""
        return sum(writer.arrive() for writer in self._writers.values() for _ in range(writer.under_way)) > 0

    def kill(self, process: Process, *, start_at: int) -> None:
        """End a process where it stands; if it was the last of its service another starts at that turn."""
        process.kill()
        self._bury(process, start_at=start_at)

    def kill_all(self) -> None:
        """End every process, and whatever is under way."""
        for process in list(self.processes):
            self.kill(process, start_at=0)
        self.due.clear()
        self._drifting.clear()

    def freeze(self, process: Process, *, until: int) -> None:
        """Let a process stand still; its group gives it up, and another one starts."""
        process.frozen_until = until
        if process in self._members:
            self._members[process].close()
        self.join(process.role)

    def join(self, service: str) -> None:
        """Start one more process, unless there are many."""
        if sum(process.role == service for process in self.processes) < MOST_PROCESSES:
            self._book.tell(f"{self.start(service).name} starts", "joins")

    def _live(self, process: Process) -> None:
        """Be one process: what `shared.runtime.run` does, and what people do when it stops."""
        try:
            stage, self._writers[process], member = self._build(process.role)
            if member is not None:
                self._members[process] = member
            while not process.is_asked_to_stop:
                try:
                    process.has_worked = stage.step(0.0)
                except Undelivered:
                    raise
                except (Busy, Unavailable):
                    process.has_worked = True
                    process.pause("wait")
                process.steps += 1
            stage.close()
        except Unavailable as exc:
            self._book.tell(f"starts over: {exc}", "starts over")
        except (LogIdentity, LogTime) as exc:
            self._repair(str(exc))

    def _bury(self, process: Process, *, start_at: int) -> None:
        self.processes.remove(process)
        if process in self._members:
            self._members.pop(process).close()
        if process in self._writers:
            self._drifting.append(self._writers.pop(process))
        if not any(other.role == process.role for other in self.processes):
            self.due.setdefault(process.role, start_at)
