"""HTTP by aiohttp: a timeout, no redirects, a limit on what comes back. One request at a time, or many.

Every URL is judged again before it is used, and every address that its name resolves to; see destinations.py.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from shared.destinations import check_url, may_connect
from shared.errors import Unavailable
from shared.http import HttpRequest, HttpResponse

MAX_RESPONSE_BYTES = 64 * 1024
TIMEOUT_SECONDS = 10.0
NOT_ALLOWED = "the receiver's address is not allowed"
MAX_LOOKUPS = 128  # as many as may be under way: 16 channels with 8 requests each


class AiohttpClient:
    """`HttpClient` for a thread without an event loop of its own; its calls must all come from one thread."""

    def __init__(self, timeout: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout
        self._runner = asyncio.Runner()

    def send(self, request: HttpRequest) -> HttpResponse:
        """Return the response, its body cut at 64 KiB.

        Raises:
            Unavailable: no response; names neither URL nor host.
        """
        return self._runner.run(_exchange(request, self._timeout))

    def close(self) -> None:
        """Close the event loop; idempotent."""
        self._runner.close()


class AiohttpCourier:
    """`Courier` on a thread with an event loop of its own."""

    def __init__(self, timeout: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout
        self._ended: SimpleQueue[Future[tuple[str, HttpResponse | Unavailable]]] = SimpleQueue()
        self._loop = asyncio.new_event_loop()
        # Names are looked up on threads that no timeout ends: one receiver's must not keep the others from theirs.
        self._lookups = ThreadPoolExecutor(MAX_LOOKUPS, thread_name_prefix="lookup")
        self._loop.set_default_executor(self._lookups)
        self._thread = Thread(target=self._loop.run_forever, name="courier", daemon=True)
        self._thread.start()

    def submit(self, key: str, request: HttpRequest) -> None:
        """Send `request` without waiting for its answer."""
        asyncio.run_coroutine_threadsafe(self._carry(key, request), self._loop).add_done_callback(self._ended.put)

    def collect(self, timeout: float) -> Sequence[tuple[str, HttpResponse | Unavailable]]:
        """Return the answers that have come; waits for a first one."""
        ended = []
        with suppress(Empty):
            ended.append(self._ended.get(timeout=timeout) if timeout > 0 else self._ended.get_nowait())
            while True:
                ended.append(self._ended.get_nowait())
        return [request.result() for request in ended if not request.cancelled()]

    def close(self) -> None:
        """Drop what is under way; idempotent."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(_cancel_others(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._lookups.shutdown(wait=False, cancel_futures=True)
        self._loop.close()

    async def _carry(self, key: str, request: HttpRequest) -> tuple[str, HttpResponse | Unavailable]:
        try:
            return key, await _exchange(request, self._timeout)
        except Unavailable as away:
            return key, away


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _exchange(request: HttpRequest, timeout: float) -> HttpResponse:  # noqa: ASYNC109 - aiohttp does it
    try:
        check_url(request.url, allow_private=request.allow_private)
    except ValueError:
        raise Unavailable(NOT_ALLOWED) from None
    # A session for each request: they are minutes apart, and a kept connection would only be found dead.
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=_GuardedResolver(allow_private=request.allow_private)),
                timeout=aiohttp.ClientTimeout(total=timeout),
                cookie_jar=aiohttp.DummyCookieJar(),
                # A few bytes on the wire must not become many in memory.
                auto_decompress=False,
                headers={"Accept-Encoding": "identity"},
            ) as session,
            session.request(
                request.method, request.url, headers=request.headers, data=request.body, allow_redirects=False
            ) as response,
        ):
            return HttpResponse(
                status=response.status,
                headers={name.lower(): value for name, value in response.headers.items()},
                body=await _read_capped(response),
            )
    except TimeoutError as exc:
        raise Unavailable(f"no answer within {timeout:g} s") from exc
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        # From None: the client's messages repeat the URL, which may hold a token.
        raise Unavailable(_reason(exc)) from None


class _Forbidden(OSError):
    """An address that a request must not go to."""


class _GuardedResolver(AbstractResolver):
    """Resolves once; the connection goes to the very addresses that were looked at."""

    def __init__(self, *, allow_private: bool) -> None:
        self._inner = aiohttp.ThreadedResolver()
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        if not all(may_connect(host, result["host"], allow_private=self._allow_private) for result in found):
            raise _Forbidden
        return found

    async def close(self) -> None:
        await self._inner.close()


async def _read_capped(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(8_192):
        body += chunk
        if len(body) >= MAX_RESPONSE_BYTES:
            return bytes(body[:MAX_RESPONSE_BYTES])
    return bytes(body)


def _reason(exc: Exception) -> str:
    if isinstance(exc, aiohttp.ClientConnectorDNSError) and isinstance(exc.os_error, _Forbidden):
        return NOT_ALLOWED
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return "the receiver's name does not resolve"
    if isinstance(exc, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "the receiver's certificate is not trusted"
    if isinstance(exc, aiohttp.ClientConnectionError):
        return "the receiver cannot be reached"
    return f"the request failed ({type(exc).__name__})"
