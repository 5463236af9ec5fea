"""A real Redis Cluster of three nodes on this machine, without replicas."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from services.devstack.adapters.child import Child, accepts_connections
from services.devstack.adapters.ports import free_port
from services.devstack.adapters.programs import find_redis
from tests.kit.waiting import PATIENCE_SECONDS, until

NODES = 3


@contextmanager
def redis_cluster(folder: Path) -> Iterator[str]:
    """Run one while the block runs; gives its URL as settings take it."""
    server = find_redis(os.environ).path
    client = shutil.which("redis-cli", path=f"{server.parent}{os.pathsep}{os.environ['PATH']}")
    if client is None:
        pytest.skip("there is no redis-cli")
    with ExitStack() as undo:
        ports: list[int] = []
        for number in range(NODES):
            ports.append(free_port(0, 6379, (*ports, 6379)))
            bus = free_port(0, 6379, (*ports, 6379))
            home = folder / str(number)
            home.mkdir()
            options = {
                "port": ports[-1],
                "cluster-port": bus,
                "bind": "127.0.0.1",
                "dir": home,
                "cluster-enabled": "yes",
                "cluster-node-timeout": 5_000,
                "save": "",
            }
            command = [str(server), *(part for name, value in options.items() for part in (f"--{name}", str(value)))]
            child = Child(f"Redis {number}", command, home / "redis.log")
            undo.callback(child.kill)
            child.await_answer(lambda: accepts_connections(ports[-1]), PATIENCE_SECONDS)
        addresses = [f"127.0.0.1:{port}" for port in ports]
        subprocess.run(
            [client, "--cluster", "create", *addresses, "--cluster-yes"],
            check=True,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
        )
        url = f"redis+cluster://{addresses[0]}"
        _await(ports)
        yield url


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


def _await(ports: list[int]) -> None:
    """Return when every node has heard that all slots are served."""
    for port in ports:
        with redis.Redis(port=port) as node:
            until(partial(node.execute_command, "CLUSTER INFO"), lambda said: said["cluster_state"] == "ok")
