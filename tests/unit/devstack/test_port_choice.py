from __future__ import annotations

import pytest

from services.devstack.adapters.ports import with_free_port
from services.devstack.ports import UNCLAIMED
from services.devstack.stack import PortLost, StackFailed


class Server:
    """Loses its port `losses` times."""

    def __init__(self, losses: int) -> None:
        self._losses = losses
        self.tried: list[int] = []

    def start(self, port: int) -> None:
        self.tried.append(port)
        if len(self.tried) <= self._losses:
            raise PortLost("another program was faster")


def test_a_lost_port_is_replaced_twice() -> None:
    server = Server(losses=2)

    port = with_free_port(0, 9092, server.start)

    assert port == server.tried[2]
    assert [port in UNCLAIMED for port in server.tried] == [True, True, True]


def test_the_third_loss_is_final() -> None:
    server = Server(losses=3)

    with pytest.raises(PortLost):
        with_free_port(0, 9092, server.start)

    assert len(server.tried) == 3


def test_another_failure_is_not_tried_again() -> None:
    tried = []

    def start(port: int) -> None:
        tried.append(port)
        raise StackFailed("out of memory")

    with pytest.raises(StackFailed, match="out of memory"):
        with_free_port(0, 9092, start)

    assert len(tried) == 1
