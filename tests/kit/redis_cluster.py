"""A real Redis Cluster of three nodes on this machine, without replicas."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis

from services.devstack.adapters.child import Child, accepts_connections
from services.devstack.adapters.ports import free_port
from services.devstack.adapters.programs import find_redis
from services.devstack.stack import StackFailed
from tests.kit.waiting import PATIENCE_SECONDS, until

NODES = 3
SLOTS = 16_384
TO_BUS = 10_000  # from a node's port to that of its bus; before Redis 7 it cannot be chosen


@contextmanager
def redis_cluster(folder: Path) -> Iterator[str]:
    """Run one while the block runs; gives its URL as settings take it."""
    server = find_redis(os.environ).path
    with ExitStack() as undo:
        ports: list[int] = []
        for number in range(NODES):
            ports.append(_port_with_bus())
            home = folder / str(number)
            home.mkdir()
            options = {
                "port": ports[-1],
                "bind": "127.0.0.1",
                "dir": home,
                "cluster-enabled": "yes",
                "cluster-node-timeout": 5_000,
                "save": "",
            }
            command = [str(server), *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
            child = Child(f"Redis {number}", command, home / "redis.log")
            undo.callback(child.kill)
            child.await_answer(partial(accepts_connections, ports[-1]), PATIENCE_SECONDS)
        _join(ports)
        yield f"redis+cluster://127.0.0.1:{ports[0]}"


@contextmanager
def nodes(url: str) -> Iterator[list[redis.Redis]]:
    """Give a client of each node."""
    with ExitStack() as undo:
        cluster = undo.enter_context(redis.RedisCluster.from_url(f"redis://{urlsplit(url).netloc}"))
        found = [redis.Redis(host=node.host, port=int(node.port)) for node in cluster.get_primaries()]
        for node in found:
            undo.callback(node.close)
        yield found


def tell_nodes(url: str, command: str) -> None:
    """Have each node do a command of words."""
    with nodes(url) as clients:
        told: list[Any] = [*clients]  # `execute_command` has no types
        for node in told:
            node.execute_command(*command.split())


def _port_with_bus() -> int:
    while True:
        port = free_port(0, 6379)
        try:
            free_port(port + TO_BUS, 6379)
        except StackFailed:
            continue
        return port


def _join(ports: list[int]) -> None:
    """Have nodes meet and share out the slots; return when each has heard that all are served."""
    with ExitStack() as undo:
        joined: list[Any] = [undo.enter_context(redis.Redis(port=port)) for port in ports]  # commands have no types
        for number, node in enumerate(joined):
            node.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
            shares = range(SLOTS * number // NODES, SLOTS * (number + 1) // NODES)
            node.execute_command("CLUSTER ADDSLOTS", *shares)
        for node in joined[1:]:
            node.execute_command("CLUSTER MEET", "127.0.0.1", ports[0])
        for node in joined:
            until(
                partial(node.execute_command, "CLUSTER INFO"),
                lambda said: said["cluster_state"] == "ok" and said["cluster_known_nodes"] == str(NODES),
            )
