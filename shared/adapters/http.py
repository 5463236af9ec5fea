"""HTTP by aiohttp, one request at a time: a timeout, no redirects, a limit on what comes back.

The addresses are the operator's own, on private networks too, so only those are refused that no receiver can have and
that cloud providers serve machine credentials on: link-local, multicast, unspecified and reserved ones.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from shared.errors import Unavailable
from shared.http import HttpRequest, HttpResponse

MAX_RESPONSE_BYTES = 64 * 1024
TIMEOUT_SECONDS = 10.0


class AiohttpClient:
    """`HttpClient` for a thread without an event loop of its own; its calls must all come from one thread."""

    def __init__(self, timeout: float = TIMEOUT_SECONDS) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._runner = asyncio.Runner()

    def send(self, request: HttpRequest) -> HttpResponse:
        """Return the response, its body cut at 64 KiB.

        Raises:
            Unavailable: no response; names neither URL nor host.
        """
        return self._runner.run(self._send(request))

    def close(self) -> None:
        """Close the event loop; idempotent."""
        self._runner.close()

    async def _send(self, request: HttpRequest) -> HttpResponse:
        # A session for each request: they are minutes apart, and a kept connection would only be found dead.
        try:
            _refuse_forbidden(URL(request.url).host or "")
            async with (
                aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(resolver=_GuardedResolver()),
                    timeout=self._timeout,
                    cookie_jar=aiohttp.DummyCookieJar(),
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
            raise Unavailable(f"no answer within {self._timeout.total:g} s") from exc
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            # From None: the client's messages repeat the URL, which may hold a token.
            raise Unavailable(_reason(exc)) from None


class _Forbidden(OSError):
    """An address that no receiver has."""


class _GuardedResolver(AbstractResolver):
    """Resolves once; the connection goes to the very addresses that were looked at."""

    def __init__(self) -> None:
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        for result in found:
            _refuse_forbidden(result["host"])
        return found

    async def close(self) -> None:
        await self._inner.close()


def _refuse_forbidden(host: str) -> None:
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return  # a name: the resolver looks at its addresses
    mapped = getattr(address, "ipv4_mapped", None) or address
    if mapped.is_loopback:
        return
    if mapped.is_link_local or mapped.is_multicast or mapped.is_unspecified or mapped.is_reserved:
        raise _Forbidden("the receiver's address is not allowed")


async def _read_capped(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_chunked(8_192):
        body += chunk
        if len(body) >= MAX_RESPONSE_BYTES:
            return bytes(body[:MAX_RESPONSE_BYTES])
    return bytes(body)


def _reason(exc: Exception) -> str:
    if isinstance(exc, _Forbidden):
        return str(exc)
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return "the receiver's name does not resolve"
    if isinstance(exc, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return "the receiver's certificate is not trusted"
    if isinstance(exc, aiohttp.ClientConnectionError):
        return "the receiver cannot be reached"
    return f"the request failed ({type(exc).__name__})"
