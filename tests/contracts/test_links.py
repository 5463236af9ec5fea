"""The links of the fault rig: what a client and a server see of them."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.faults.links import Link, Network, Way, Weather, network
from tests.kit.waiting import PATIENCE_SECONDS, until


class Echo:
    """A server that answers each message with itself and its name, and remembers what it got."""

    def __init__(self, name: bytes) -> None:
        self.got: list[bytes] = []
        self._name = name
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(4_096):
                    self.got.append(data)
                    connection.sendall(self._name + data)
            except OSError:
                return


@contextmanager
def echo(name: bytes = b"a:") -> Iterator[Echo]:
    server = Echo(name)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def net() -> Iterator[Network]:
    with network() as running:
        yield running


def connect(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), PATIENCE_SECONDS)


def ask(client: socket.socket, text: bytes) -> bytes:
    """Return what is answered; nothing where the connection breaks."""
    try:
        client.sendall(text)
        return client.recv(4_096)
    except ConnectionError:
        return b""


def test_a_link_passes_on_both_directions(net: Network) -> None:
    with echo() as server:
        link = net.link(server.port)
        with connect(link) as client:
            assert ask(client, b"1") == b"a:1"
            assert ask(client, b"2") == b"a:2"
    assert link.counts["connections"] == 1


@pytest.mark.parametrize("way", Way)
def test_bytes_of_one_direction_may_get_lost(net: Network, way: Way) -> None:
    with echo() as server:
        link = net.link(server.port)
        with connect(link) as client:
            assert ask(client, b"1") == b"a:1"
            link.degrade(way, Weather(drops=True))
            client.sendall(b"2")
            lost = f"bytes lost {way}"
            while not link.counts[lost]:
                pass
            assert server.got == ([b"1"] if way is Way.TO_SERVER else [b"1", b"2"])
            assert set(link.counts) == {"connections", lost}


def test_a_connection_that_lost_bytes_breaks_when_the_link_heals_and_others_go_on(net: Network) -> None:
    with echo() as server:
        link = net.link(server.port)
        with connect(link) as silent, connect(link) as talking:
            assert ask(silent, b"1") == b"a:1"
            assert ask(talking, b"2") == b"a:2"
            link.black_hole()
            talking.sendall(b"3")
            while not link.counts[f"bytes lost {Way.TO_SERVER}"]:
                pass
            link.heal()

            assert ask(talking, b"4") == b""
            assert ask(silent, b"5") == b"a:5"


def test_a_slow_link_loses_nothing(net: Network) -> None:
    with echo() as server:
        link = net.link(server.port)
        link.degrade(Way.TO_SERVER, Weather(delay=0.001, bytes_per_second=1e6))
        with connect(link) as client:
            client.sendall(b"x" * 50_000)
            answered = 0
            while answered < 50_000:
                answered += client.recv(65_536).count(b"x")
    assert b"".join(server.got) == b"x" * 50_000


def test_a_cut_breaks_what_is_there_and_nothing_else(net: Network) -> None:
    with echo() as server:
        link = net.link(server.port)
        with connect(link) as before:
            assert ask(before, b"1") == b"a:1"
            link.cut()
            assert ask(before, b"2") == b""
        with connect(link) as after:
            assert ask(after, b"3") == b"a:3"


def test_a_closed_link_lets_nobody_through_until_it_is_healed(net: Network) -> None:
    with echo() as server:
        link = net.link(server.port)
        link.close()
        with connect(link) as client:
            assert ask(client, b"1") == b""
        link.heal()
        with connect(link) as client:
            assert ask(client, b"2") == b"a:2"
    assert server.got == [b"2"]


def test_a_link_that_leads_elsewhere_takes_everyone_there(net: Network) -> None:
    with echo(b"a:") as first, echo(b"b:") as second:
        link = net.link(first.port)
        with connect(link) as client:
            assert ask(client, b"1") == b"a:1"
            link.lead_to(second.port)
            assert ask(client, b"2") == b""
        with connect(link) as client:
            assert ask(client, b"3") == b"b:3"


@pytest.mark.parametrize("pieces", [[b"do this now"], [b"do th", b"is now"]], ids=["at once", "in two pieces"])
def test_a_request_may_be_done_and_its_answer_lost(net: Network, pieces: list[bytes]) -> None:
    with echo() as server:
        link = net.link(server.port)
        link.lose_replies(b"this", 1)
        with connect(link) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answers = [ask(client, piece) for piece in pieces]
        with connect(link) as client:
            assert ask(client, b"do this now") == b"a:do this now"

    assert answers[-1] == b""
    assert server.got == [*pieces, b"do this now"]
    assert link.counts["replies lost"] == 1


def test_where_there_is_no_server_a_connection_breaks(net: Network) -> None:
    with echo() as server:
        link = net.link(server.port)
    with connect(link) as client:
        assert ask(client, b"1") == b""


def test_what_is_held_back_arrives_later_also_when_its_client_has_gone(net: Network) -> None:
    with echo() as server:
        link = net.link(server.port)
        hold = link.hold(re.compile(b"end"))
        with connect(link) as first:
            first.sendall(b"the end")
            until(lambda: hold.caught, bool)
        with connect(link) as second:
            assert ask(second, b"the end of another") == b"a:the end of another"
        assert server.got == [b"the end of another"]

        link.let_go(hold)

        until(lambda: server.got, lambda got: len(got) == 2)
    assert server.got == [b"the end of another", b"the end"]
