"""`/livez`, `/readyz` and `/metrics` of one process, served beside its loop.

A probe or scrape sees what `Progress` holds and touches neither the stage nor its clients, so a scrape costs the loop
nothing. Answers are short, connections are few, and none lives longer than `CONNECTION_SECONDS`.
"""

from __future__ import annotations

import errno
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, cast

import msgspec
import structlog
from prometheus_client.exposition import choose_encoder

from shared.adapters.prometheus import registry_of
from shared.errors import ConfigurationError
from shared.measures import Measure, number
from shared.progress import Answer, Progress
from shared.settings import Settings

LOG = structlog.get_logger("driftline.health")
CONNECTION_SECONDS = 10.0
MAX_CONNECTIONS = 32
POLL_SECONDS = 0.2  # how late the end is noticed


@contextmanager
def serving_health(service: str, settings: Settings, progress: Progress) -> Iterator[tuple[str, int]]:
    """Serve while the block runs; gives host and port.

    Raises:
        ConfigurationError: the address cannot be had; names the variable to change.
    """
    host, port = settings.health_host, settings.health_port_of(service)
    try:
        server = _Server(host, port, progress)
    except OSError as exc:
        raise _refusal(host, port, exc) from exc
    thread = threading.Thread(target=server.serve_forever, args=(POLL_SECONDS,), name="health", daemon=True)
    thread.start()
    try:
        yield host, int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _refusal(host: str, port: int, exc: OSError) -> ConfigurationError:
    if exc.errno in (errno.EADDRINUSE, errno.EACCES):
        advice = (
            "each service takes the port of its place in the flow; choose another first port, or 0 for any free one"
        )
        return ConfigurationError("DRIFTLINE_HEALTH_PORT", f"port {port} of {host}: {exc.strerror}; {advice}")
    return ConfigurationError("DRIFTLINE_HEALTH_HOST", f"{host}: {exc.strerror}; choose an address of this machine")


class _Server(ThreadingHTTPServer):
    """One thread a connection; a connection too many is closed unheard, one that lives too long unanswered."""

    block_on_close = False

    def __init__(self, host: str, port: int, progress: Progress) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.progress = progress
        self.registry = registry_of(self.measures)
        self._open: dict[socket.socket, float] = {}  # connection to when it began, monotonic seconds
        self._refused = 0
        self._lock = threading.Lock()
        super().__init__((host, port), _Probe)

    def server_bind(self) -> None:
        """Bind without asking a name server who we are, as `HTTPServer` would."""
        TCPServer.server_bind(self)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002 - socketserver's signature
        """Take a connection unless there are too many."""
        with self._lock:
            has_room = len(self._open) < MAX_CONNECTIONS
            if has_room:
                self._open[request] = time.monotonic()
            else:
                self._refused += 1
        return has_room

    def measures(self) -> Iterator[Measure]:
        """Yield what the loop told of, and the server's own bound."""
        yield from self.progress.measures()
        yield number(
            "health_refused_connections_total", "Connections closed unheard: too many were open.", self._refused
        )

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Hang up on connections that are overdue, which ends their threads; called now and then."""
        with self._lock:
            for request, began in self._open.items():
                if time.monotonic() - began > CONNECTION_SECONDS:
                    with suppress(OSError):
                        request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002 - socketserver's signature
        """Log a bug of ours; a client that went away is none."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            LOG.error("probe_failed", exc_info=error)


class _Probe(BaseHTTPRequestHandler):
    """One request, one answer, then the connection is closed."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "driftline", ""

    def do_GET(self) -> None:
        """Answer."""
        server = cast("_Server", self.server)
        match self.path.partition("?")[0]:
            case "/livez":
                self._tell(server.progress.live())
            case "/readyz":
                self._tell(server.progress.ready())
            case "/metrics":
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                self._answer(HTTPStatus.OK, content_type, encode(server.registry))
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/livez, /readyz or /metrics\n")

    do_HEAD = do_GET  # noqa: N815 - as above

    def _tell(self, answer: Answer) -> None:
        status = HTTPStatus.OK if answer.ok else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, "application/json", msgspec.json.encode(answer) + b"\n")

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Keep no access log: probes come every few seconds."""
