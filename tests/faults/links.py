"""Links between clients and servers that lose bytes, slow down, break, and lead elsewhere when they are told to."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

T = TypeVar("T")
CHUNK_BYTES = 4_096  # few, so that a slow link is slow evenly
ANSWER_SECONDS = 30.0


class Way(StrEnum):
    """A direction of a link."""

    TO_SERVER = "to server"
    TO_CLIENT = "to client"


@dataclass(slots=True)
class Weather:
    """What happens to bytes of one direction."""

    drops: bool = False
    delay: float = 0.0  # seconds that each piece of bytes waits
    bytes_per_second: float = 0.0  # 0: as fast as it goes


@dataclass(slots=True, eq=False)
class _Connection:
    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    has_gap: bool = False  # bytes were lost: nobody can go on reading it
    loses_reply: bool = False

    def abort(self) -> None:
        for writer in (self.client, self.server):
            writer.transport.abort()


@dataclass(slots=True)
class _Trap:
    """Lets requests with `words` through, and loses what is answered."""

    words: bytes
    left: int
    tails: dict[int, bytes] = field(default_factory=dict)  # by connection: words may come in two pieces

    def catches(self, connection: _Connection, data: bytes) -> bool:
        seen = self.tails.get(id(connection), b"") + data
        self.tails[id(connection)] = seen[-len(self.words) + 1 :]
        if self.left and self.words in seen:
            self.left -= 1
            self.tails[id(connection)] = b""
            return True
        return False


class Hold:
    """Keeps the first bytes to the server that match `pattern`, and what follows them on their connection."""

    def __init__(self, pattern: re.Pattern[bytes]) -> None:
        self.caught = self.late = 0
        self._pattern = pattern
        self._go = asyncio.Event()

    async def keep(self, data: bytes) -> None:
        """Wait until all may go on, where `data` is what is kept."""
        if not self.caught and self._pattern.search(data):
            self.caught = 1
            await self._go.wait()
            self.late = 1

    def let_go(self) -> None:
        """Let everything go on to the server, also when its client has gone; the link's thread calls it."""
        self._go.set()


class Link:
    """One listening port of this machine; what connects to it is connected to `target`. Use it from one thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop, target: int) -> None:
        self._loop = loop
        self._target = target
        self._weather = {way: Weather() for way in Way}
        self._connections: set[_Connection] = set()
        self._traps: list[_Trap] = []
        self._holds: list[Hold] = []
        self._is_open = True
        self.port = 0
        self.counts: Counter[str] = Counter()  # connections, connections cut, replies lost, bytes lost by direction

    def degrade(self, way: Way, weather: Weather) -> None:
        """Let bytes of one direction meet `weather` from now on."""
        self._do(lambda: self._weather.update({way: weather}))

    def black_hole(self) -> None:
        """Lose every byte of both directions; connections stay open, and new ones are accepted."""
        for way in Way:
            self.degrade(way, Weather(drops=True))

    def cut(self) -> None:
        """Break every connection there is."""
        self._do(self._cut)

    def close(self) -> None:
        """Break every connection, and every new one at once."""
        self._do(self._close)

    def lead_to(self, target: int) -> None:
        """Connect to another port from now on; connections to the one before break."""
        self._do(lambda: self._lead_to(target))

    def lose_replies(self, words: bytes, times: int) -> None:
        """Let the next requests that contain `words` reach the server, and break their connections at the answer."""
        self._do(lambda: self._traps.append(_Trap(words, times)))

    def hold(self, pattern: re.Pattern[bytes]) -> Hold:
        """Keep the next request that matches, which has to come in one piece, until the link heals."""
        hold = Hold(pattern)
        self._do(lambda: self._holds.append(hold))
        return hold

    def let_go(self, hold: Hold) -> None:
        """Deliver what was held back, late."""
        self._do(hold.let_go)

    def heal(self) -> None:
        """Pass on everything again. A connection that has lost bytes breaks, as nobody can go on reading it."""
        self._do(self._heal)

    async def serve(self, port: int) -> asyncio.Server:
        """Begin to listen."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", port)
        self.port = server.sockets[0].getsockname()[1]
        return server

    def _do(self, change: Callable[[], object]) -> None:
        async def made() -> None:
            change()

        asyncio.run_coroutine_threadsafe(made(), self._loop).result(ANSWER_SECONDS)

    def _cut(self) -> None:
        self.counts["connections cut"] += len(self._connections)
        for connection in tuple(self._connections):
            connection.abort()

    def _close(self) -> None:
        self._is_open = False
        self._cut()

    def _lead_to(self, target: int) -> None:
        self._target = target
        self._cut()

    def _heal(self) -> None:
        self._is_open = True
        self._traps.clear()
        for hold in self._holds:
            hold.let_go()
        self._holds.clear()
        self._weather = {way: Weather() for way in Way}
        for connection in tuple(self._connections):
            if connection.has_gap:
                connection.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not self._is_open:
                raise ConnectionRefusedError
            there, onward = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self.counts["connections"] += 1
        connection = _Connection(writer, onward)
        self._connections.add(connection)
        try:
            await asyncio.gather(
                self._pump(connection, reader, onward, Way.TO_SERVER),
                self._pump(connection, there, writer, Way.TO_CLIENT),
            )
        finally:
            self._connections.discard(connection)
            connection.abort()

    async def _pump(
        self, connection: _Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                weather = self._weather[way]
                if weather.delay or weather.bytes_per_second:
                    slowness = len(data) / weather.bytes_per_second if weather.bytes_per_second else 0.0
                    await asyncio.sleep(weather.delay + slowness)
                if self._weather[way].drops or connection.has_gap:
                    connection.has_gap = True
                    self.counts[f"bytes lost {way}"] += len(data)
                    continue
                if way is Way.TO_CLIENT and connection.loses_reply:
                    self.counts["replies lost"] += 1
                    break
                if way is Way.TO_SERVER:
                    for hold in self._holds:
                        await hold.keep(data)
                if way is Way.TO_SERVER and any(trap.catches(connection, data) for trap in self._traps):
                    connection.loses_reply = True
                writer.write(data)
                await writer.drain()
        connection.abort()


class Network:
    """Makes links, in a thread of their own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="links", daemon=True)
        self._servers: list[asyncio.Server] = []

    def link(self, target: int, port: int = 0) -> Link:
        """Return a link to a port of this machine; it listens on `port`, or on any free one."""
        link = Link(self._loop, target)
        self._servers.append(self._run(link.serve(port)))
        return link

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Break everything."""
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_SECONDS)


@contextmanager
def network() -> Iterator[Network]:
    """Run links while the block runs."""
    running = Network()
    running.start()
    try:
        yield running
    finally:
        running.stop()
