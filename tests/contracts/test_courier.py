"""What a courier promises: every submitted request is answered once, and nobody waits for anybody else."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from shared.adapters.http import AiohttpCourier
from shared.errors import Unavailable
from shared.http import HttpRequest, HttpResponse
from tests.kit.receiver import Answer, Got, receiving

PATIENCE = 30.0
Answered = dict[str, HttpResponse | Unavailable]


@pytest.fixture
def courier() -> Iterator[AiohttpCourier]:
    courier = AiohttpCourier(timeout=PATIENCE)
    yield courier
    courier.close()


def post(url: str, body: bytes = b"{}") -> HttpRequest:
    return HttpRequest("POST", url, {"webhook-id": "k"}, body)


def answers(courier: AiohttpCourier, count: int) -> Answered:
    found: Answered = {}
    while len(found) < count:
        came = courier.collect(PATIENCE)
        assert came, "no answer came"
        found.update(came)
    return found


def statuses(found: Answered) -> dict[str, int]:
    return {key: answer.status for key, answer in found.items() if isinstance(answer, HttpResponse)}


def test_nothing_was_submitted_nothing_is_collected(courier: AiohttpCourier) -> None:
    assert list(courier.collect(0.0)) == []


def test_each_request_is_answered_under_its_key_and_once(courier: AiohttpCourier) -> None:
    with receiving(lambda got: Answer(int(got.path[1:]))) as receiver:
        for status in (200, 404, 503):
            courier.submit(f"k{status}", post(receiver.url(f"/{status}"), b'{"a": 1}'))
        found = answers(courier, 3)

    assert statuses(found) == {"k200": 200, "k404": 404, "k503": 503}
    assert [(got.headers["webhook-id"], got.body) for got in receiver.got] == [("k", b'{"a": 1}')] * 3
    assert list(courier.collect(0.0)) == []


def test_a_receiver_that_hangs_delays_no_other(courier: AiohttpCourier) -> None:
    silent = threading.Event()

    def answer(got: Got) -> Answer:
        if got.path == "/silent":
            silent.wait()
        return Answer(200)

    with receiving(answer) as receiver:
        for number in range(8):
            courier.submit(f"silent{number}", post(receiver.url("/silent")))
        for number in range(8):
            courier.submit(f"prompt{number}", post(receiver.url("/prompt")))
        first = answers(courier, 8)
        silent.set()
        rest = answers(courier, 8)

    assert set(first) == {f"prompt{number}" for number in range(8)}
    assert set(rest) == {f"silent{number}" for number in range(8)}


def test_no_answer_in_time_is_an_answer_of_its_own() -> None:
    impatient = AiohttpCourier(timeout=0.05)
    silent = threading.Event()

    def wait(_: Got) -> Answer:
        silent.wait()
        return Answer()

    with receiving(wait) as receiver:
        impatient.submit("k", post(receiver.url()))
        (answer,) = answers(impatient, 1).values()
        silent.set()
    impatient.close()

    assert isinstance(answer, Unavailable)
    assert str(answer) == "no answer within 0.05 s"


def test_an_address_that_no_receiver_has_is_never_connected_to(courier: AiohttpCourier) -> None:
    courier.submit("k", post("http://169.254.169.254/latest/meta-data/"))

    (answer,) = answers(courier, 1).values()

    assert isinstance(answer, Unavailable)
    assert str(answer) == "the receiver's address is not allowed"


def test_what_is_under_way_at_the_end_is_dropped() -> None:
    leaving = AiohttpCourier(timeout=PATIENCE)
    silent, arrived = threading.Event(), threading.Event()

    def wait(_: Got) -> Answer:
        arrived.set()
        silent.wait()
        return Answer()

    with receiving(wait) as receiver:
        leaving.submit("k", post(receiver.url()))
        assert arrived.wait(PATIENCE)
        leaving.close()
        leaving.close()
        silent.set()

    assert list(leaving.collect(0.0)) == []
