from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from shared.adapters.http import MAX_RESPONSE_BYTES, AiohttpClient
from shared.errors import Unavailable
from shared.http import HttpRequest
from tests.kit.receiver import Answer, receiving


@pytest.fixture
def client() -> Iterator[AiohttpClient]:
    client = AiohttpClient(timeout=5.0)
    yield client
    client.close()


def post(url: str, body: bytes = b"{}") -> HttpRequest:
    return HttpRequest("POST", url, {"Idempotency-Key": "k"}, body)


def test_a_request_arrives_as_it_is_and_the_answer_comes_back(client: AiohttpClient) -> None:
    with receiving(lambda _: Answer(201, {"Location": "https://ci/1"}, b"made")) as receiver:
        response = client.send(post(receiver.url("/retrain?x=1"), b'{"a":1}'))

    assert (response.status, response.headers["location"], response.body) == (201, "https://ci/1", b"made")
    (got,) = receiver.got
    assert (got.path, got.headers["idempotency-key"], got.body) == ("/retrain?x=1", "k", b'{"a":1}')


def test_a_redirect_is_not_followed(client: AiohttpClient) -> None:
    with receiving(lambda _: Answer(307, {"Location": "/elsewhere"})) as receiver:
        response = client.send(post(receiver.url()))

    assert response.status == 307
    assert [got.path for got in receiver.got] == ["/retrain"]


def test_a_long_answer_is_cut(client: AiohttpClient) -> None:
    with receiving(lambda _: Answer(200, {}, b"x" * (4 * MAX_RESPONSE_BYTES))) as receiver:
        response = client.send(post(receiver.url()))

    assert len(response.body) == MAX_RESPONSE_BYTES


def test_a_receiver_that_refuses_connections_is_unavailable(client: AiohttpClient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and not listening
        with pytest.raises(Unavailable) as failure:
            client.send(post(f"http://127.0.0.1:{taken.getsockname()[1]}/hunter2?token=hunter3"))

    assert str(failure.value) == "the receiver cannot be reached"
    assert failure.value.__cause__ is None


def test_a_receiver_that_does_not_answer_in_time_is_unavailable() -> None:
    impatient = AiohttpClient(timeout=0.05)
    silent = threading.Event()

    def wait(_: object) -> Answer:
        silent.wait()
        return Answer()

    with receiving(wait) as receiver:
        with pytest.raises(Unavailable, match=r"^no answer within 0.05 s$"):
            impatient.send(post(receiver.url()))
        silent.set()
    impatient.close()


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fe80::1]/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://255.255.255.255/",
        "http://2852039166/latest/meta-data/",
        "http://0xa9.254.169.254/",
        "https://user:hunter2@example.org/",
        "http://example.org/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
    ],
)
def test_an_address_that_no_receiver_has_is_never_connected_to(client: AiohttpClient, url: str) -> None:
    with pytest.raises(Unavailable, match="the receiver's address is not allowed"):
        client.send(post(url))


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "64:ff9b::a00:1"])
def test_a_public_name_that_leads_to_a_private_address_is_never_connected_to(
    client: AiohttpClient, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    looked_up = _resolving(monkeypatch, {"rebound.example.org": address})

    with pytest.raises(Unavailable, match=r"^the receiver's address is not allowed$"):
        client.send(post("https://rebound.example.org/hook"))

    assert looked_up == ["rebound.example.org"]


def test_a_name_of_the_operators_own_network_is_resolved_once_and_connected_to(
    client: AiohttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = _resolving(monkeypatch, {"orchestrator.internal": "127.0.0.1"})

    with receiving() as receiver:
        url = receiver.url().replace("127.0.0.1", "orchestrator.internal")
        response = client.send(HttpRequest("POST", url, {}, b"{}", allow_private=True))

    assert response.status == 202
    assert looked_up == ["orchestrator.internal"]


def test_an_answer_that_was_compressed_is_not_unpacked(client: AiohttpClient) -> None:
    bomb = gzip.compress(b"x" * (1 << 20))
    with receiving(lambda _: Answer(200, {"Content-Encoding": "gzip"}, bomb)) as receiver:
        response = client.send(post(receiver.url()))

    assert response.body == bomb
    assert receiver.got[0].headers["accept-encoding"] == "identity"


def _resolving(monkeypatch: pytest.MonkeyPatch, names: dict[str, str]) -> list[str]:
    """Let these names resolve so; return those that are looked up."""
    looked_up = []
    real = socket.getaddrinfo

    def getaddrinfo(host: str, *rest: Any, **options: Any) -> Any:
        if host in names:
            looked_up.append(host)
        return real(names.get(host, host), *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return looked_up


def test_another_client_still_works_after_a_failure(client: AiohttpClient) -> None:
    with pytest.raises(Unavailable):
        client.send(post("http://0.0.0.0/"))

    with receiving() as receiver:
        assert client.send(post(receiver.url())).status == 202
