"""`demo --chaos`: every process is killed while events flow, and Redis loses the end of its data, then all of it."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

from services.cli.demo.blows import Blows
from services.cli.demo.order import Event
from services.cli.names import SERVICES
from services.devstack.adapters.stack import RunningStack
from shared.access import RedisAccess
from shared.adapters.redis import connect

CUT = 0.3  # of what Redis has appended
WAIT_SECONDS = 0.05
SERVERS = ("kill -9 of Kafka", "kill -9 of Redis", "Redis loses the end of its data", "Redis is emptied")


class Chaos:
    """Blows that fall one after another, all from the thread that started the servers.

    pids: the process of each service that has started, the newest. tell: gets a line for each blow.
    """

    def __init__(
        self,
        stack: RunningStack,
        redis: RedisAccess,
        pids: Callable[[], Mapping[str, int]],
        events: int,
        tell: Callable[[str], None],
    ) -> None:
        self._stack, self._redis, self._pids, self._tell = stack, redis, pids, tell
        kills = {f"kill -9 of {name}": name for name in SERVICES}
        self._services = kills
        self._blows = Blows([*kills, *SERVERS], events)
        self._hit: tuple[str, int] | None = None  # a service that is not back yet, and the process that is gone
        self._written = 0
        self._is_released = threading.Event()
        self.fallen: list[str] = []

    @property
    def is_over(self) -> bool:
        """Return whether every blow has fallen, and what it hit is back."""
        return self._blows.are_over

    def paced(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield events as far as they may be written; from another thread."""
        for number, event in enumerate(events):
            while number >= self._blows.allowed and not self._is_released.wait(WAIT_SECONDS):
                pass
            self._written = number + 1
            yield event

    def release(self) -> None:
        """Hold events back no longer."""
        self._is_released.set()

    def strike(self) -> None:
        """Let the next blow fall, if it is due and what the last one hit is back."""
        if self._hit is not None:
            name, gone = self._hit
            if self._pids()[name] == gone:
                return
            self._hit = None
            self._blows.end()
        blow = self._blows.due(self._written)
        if blow is None:
            return
        self._tell(f"after {self._written:,} events: {blow}")
        self.fallen.append(blow)
        if blow in self._services:
            name = self._services[blow]
            self._hit = name, self._pids()[name]
            os.kill(self._hit[1], signal.SIGKILL)
            return
        self._strike_server(blow)
        self._blows.end()

    def _strike_server(self, blow: str) -> None:
        match SERVERS.index(blow):
            case 0:
                self._stack.kill_kafka()
                self._stack.start_kafka()
            case 1:
                self._stack.kill_redis()
                self._stack.start_redis()
            case 2:
                self._stack.kill_redis()
                self._stack.cut_redis(CUT)
                self._stack.start_redis()
            case _:
                with connect(self._redis) as client:
                    client.flushall()
