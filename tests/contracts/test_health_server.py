"""What a probe, a scrape and a client that dawdles get from the health server."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing

import msgspec
import pytest

from shared.adapters import health
from shared.adapters.health import serving_health
from shared.adapters.memory import ManualClock
from shared.errors import ConfigurationError, Unavailable
from shared.measures import Measure, number
from shared.progress import Answer, Progress
from shared.services import SERVICES
from shared.settings import Settings

HERE = Settings(health_port=0)
OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Served:
    """A progress and where it is served."""

    def __init__(self, progress: Progress, port: int) -> None:
        self.progress = progress
        self.port = port

    def ask(self, path: str, method: str = "GET", accept: str = "") -> tuple[int, dict[str, str], bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, headers={"Accept": accept} if accept else {})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()

    def probe(self, path: str) -> tuple[int, Answer]:
        status, _, body = self.ask(path)
        return status, msgspec.json.decode(body, type=Answer)


@pytest.fixture
def served() -> Iterator[Served]:
    """A health server of a process that has just begun."""
    progress = Progress(ManualClock())
    with serving_health("joiner", HERE, progress) as (_, port):
        yield Served(progress, port)


def test_probes_follow_the_progress(served: Served) -> None:
    starting = served.probe("/livez"), served.probe("/readyz")
    served.progress.turned()
    running = served.probe("/livez"), served.probe("/readyz")
    served.progress.waits(Unavailable("redis is away"))
    waiting = served.probe("/livez"), served.probe("/readyz")

    assert [(status, answer.state) for status, answer in starting] == [(200, "starting"), (503, "starting")]
    assert [(status, answer.state) for status, answer in running] == [(200, "running"), (200, "running")]
    assert [(status, answer.reason) for status, answer in waiting] == [(200, "redis is away"), (503, "redis is away")]


def test_a_probe_is_answered_in_json(served: Served) -> None:
    _, headers, body = served.ask("/readyz")

    assert headers["Content-Type"] == "application/json"
    assert msgspec.json.decode(body) == {"ok": False, "state": "starting", "reason": "", "seconds": 0.0}


def test_a_scrape_shows_the_release_the_process_and_what_the_stage_counts(served: Served) -> None:
    served.progress.watch(
        lambda: [
            Measure("rows_total", "Rows.", {("car_loan",): 3, ('a"b\n',): 4}, ("model",)),
            number("words", "Words.", 2.5),
        ]
    )
    served.progress.turned()

    status, headers, body = served.ask("/metrics")

    lines = body.decode().splitlines()
    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert "# TYPE driftline_rows_total counter" in lines
    assert 'driftline_rows_total{model="car_loan"} 3.0' in lines
    assert 'driftline_rows_total{model="a\\"b\\n"} 4.0' in lines
    assert [line for line in lines if "words" in line][1:] == ["# TYPE driftline_words gauge", "driftline_words 2.5"]
    assert [line for line in lines if line.startswith("driftline_build_info{version=")] != []
    assert [line for line in lines if line.startswith("process_resident_memory_bytes ")] != []


def test_a_scrape_may_ask_for_openmetrics(served: Served) -> None:
    _, headers, body = served.ask("/metrics", accept=OPENMETRICS)

    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    assert body.endswith(b"# EOF\n")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/metrics/x", 404), ("GET", "/livez?verbose", 200), ("POST", "/livez", 501)],
)
def test_there_is_nothing_else(served: Served, method: str, path: str, status: int) -> None:
    assert served.ask(path, method)[0] == status


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics"])
def test_head_is_get_without_a_body(served: Served, path: str) -> None:
    (status, headers, body), (_, whole, _) = served.ask(path, "HEAD"), served.ask(path)

    assert body == b""
    assert (status, headers["Content-Type"]) == (503 if path == "/readyz" else 200, whole["Content-Type"])
    assert int(headers["Content-Length"]) > 10


def test_a_client_that_dawdles_is_hung_up_on(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "CONNECTION_SECONDS", 0.0)
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as slow:
        slow.sendall(b"GET /livez HTTP/1.1\r\n")

        assert slow.recv(100) == b""


def test_a_connection_too_many_is_closed_and_the_others_are_served(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "MAX_CONNECTIONS", 1)
    with socket.create_connection(("127.0.0.1", served.port), timeout=30) as first:
        first.sendall(b"GET /livez HTTP/1.1\r\n")
        with socket.create_connection(("127.0.0.1", served.port), timeout=30) as second:
            assert second.recv(100) == b""
        first.sendall(b"\r\n")

        assert first.recv(100).startswith(b"HTTP/1.1 200 OK")


def test_a_port_that_is_taken_is_refused_by_the_name_of_its_variable(served: Served) -> None:
    taken = Settings(health_port=served.port - SERVICES.index("detector"))

    with pytest.raises(ConfigurationError, match=f"port {served.port} of 127.0.0.1") as refused:
        serving_health("detector", taken, served.progress).__enter__()

    assert refused.value.path == "DRIFTLINE_HEALTH_PORT"


def test_a_host_that_is_not_ours_is_refused_by_the_name_of_its_variable() -> None:
    elsewhere = Settings(health_port=0, health_host="192.0.2.1")

    with pytest.raises(ConfigurationError) as refused:
        serving_health("detector", elsewhere, Progress(ManualClock())).__enter__()

    assert refused.value.path == "DRIFTLINE_HEALTH_HOST"
