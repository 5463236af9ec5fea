"""The demo's orchestrator: an HTTP endpoint on this machine that accepts every retraining it is asked for."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MAX_BODY = 1 << 20


class WebhookReceiver(ThreadingHTTPServer):
    """Counts requests by idempotency key; the same key again is the same run."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()

    @property
    def url(self) -> str:
        """Return where retrainings are requested."""
        return f"http://127.0.0.1:{self.server_port}/retrain"

    @property
    def accepted(self) -> int:
        """Return how many different retrainings were accepted."""
        with self._lock:
            return len(self._requests)

    def accept(self, key: str) -> bool:
        """Count one request; return whether its key is new."""
        with self._lock:
            self._requests[key] += 1
            return self._requests[key] == 1


class _Answer(BaseHTTPRequestHandler):
    server: WebhookReceiver

    def do_POST(self) -> None:
        """Accept with 202, a repeated key with 200, a request without key with 400."""
        self.rfile.read(min(int(self.headers.get("Content-Length", "0")), MAX_BODY))
        key = self.headers.get("Idempotency-Key")
        if key is None:
            status = HTTPStatus.BAD_REQUEST
        else:
            status = HTTPStatus.ACCEPTED if self.server.accept(key) else HTTPStatus.OK
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Say nothing: the demo shows the counts."""


@contextmanager
def receiving() -> Iterator[WebhookReceiver]:
    """Run a receiver on a free port of this machine while the block runs."""
    with WebhookReceiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, name="webhook-receiver", daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            receiver.shutdown()
            thread.join()
