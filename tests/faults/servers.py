"""A real Kafka of one or three brokers and a real Redis, each behind a link for the services and open for onlookers."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.devstack import kafka_config
from services.devstack.adapters.kafka import EmbeddedKafka
from services.devstack.adapters.ports import free_port, with_free_port
from services.devstack.adapters.redis import EmbeddedRedis
from services.devstack.adapters.server import Server
from services.devstack.adapters.stack import Programs, prepared
from shared.adapters.user_cache import cache_folder
from tests.faults.links import Link, Network, network

REPLICATED = {
    f"{topic}.{name}": value
    for topic in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic")
    for name, value in (("replication.factor", "3"), ("min.isr", "2"))
    if (topic, name) != ("offsets.topic", "min.isr")
}


@dataclass(frozen=True, slots=True)
class Door:
    """One more listener of a broker, behind a link of its own."""

    name: str
    protocol: str
    properties: Mapping[str, str]
    link: Link


class LinkedKafka(EmbeddedKafka):
    """A broker that tells clients who come through its link to come through it again.

    more: of `server.properties`; what is said last counts.
    """

    start_seconds = 240.0  # after a kill it reads its logs again

    def __init__(
        self,
        programs: Programs,
        folder: Path,
        net: Network,
        cluster_id: str = "",
        more: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(programs.java.path, programs.class_path, folder, cluster_id)
        self._more = more or {}
        self._inner, self._controller = free_port(0, 0), free_port(0, 0)
        self.link = net.link(self._inner)
        self._net = net
        self._doors: list[tuple[Door, int]] = []  # and the port behind the link

    @property
    def logs(self) -> Path:
        """Return the folder of the topics' data."""
        return self._logs

    @property
    def voter(self) -> str:
        """Return where it takes part in the quorum."""
        return f"127.0.0.1:{self._controller}"

    def open_door(self, name: str, protocol: str, properties: Mapping[str, str]) -> Door:
        """Listen on one more link from the next start on, where clients are asked who they are."""
        inner = free_port(0, 0)
        named = {f"listener.name.{name.lower()}.{key}": value for key, value in properties.items()}
        door = Door(name, protocol, named, self._net.link(inner))
        self._doors.append((door, inner))
        return door

    def close_door(self, door: Door) -> None:
        """Listen there no more, from the next start on."""
        self._doors = [(other, inner) for other, inner in self._doors if other is not door]

    def invite(self, voters: Mapping[int, LinkedKafka]) -> None:
        """Take part in a quorum of several."""
        listed = ",".join(f"{number}@{node.voter}" for number, node in voters.items())
        (own,) = (number for number, node in voters.items() if node is self)
        self._more = {**self._more, "controller.quorum.voters": listed, "node.id": str(own)}

    def _properties(self, port: int) -> str:
        listeners = [f"PLAINTEXT://127.0.0.1:{port}", f"CONTROLLER://{self.voter}", f"LINK://127.0.0.1:{self._inner}"]
        listeners += [f"{door.name}://127.0.0.1:{inner}" for door, inner in self._doors]
        advertised = [f"PLAINTEXT://127.0.0.1:{port}", f"LINK://127.0.0.1:{self.link.port}"]
        advertised += [f"{door.name}://127.0.0.1:{door.link.port}" for door, _ in self._doors]
        protocols = ["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT", "LINK:PLAINTEXT"]
        protocols += [f"{door.name}:{door.protocol}" for door, _ in self._doors]
        own = {
            "controller.quorum.voters": f"1@{self.voter}",
            "listeners": ",".join(listeners),
            "advertised.listeners": ",".join(advertised),
            "listener.security.protocol.map": ",".join(protocols),
            "inter.broker.listener.name": "PLAINTEXT",
            **{key: value for door, _ in self._doors for key, value in door.properties.items()},
            **self._more,
        }
        return super()._properties(port) + "".join(f"{name}={value}\n" for name, value in own.items())


class LinkedRedis(EmbeddedRedis):
    """A Redis that lets itself be debugged."""

    def __init__(self, programs: Programs, folder: Path) -> None:
        super().__init__(programs.redis.path, folder)
        self.folder = folder
        self._is_old = programs.redis.version.startswith("6.")

    def _conf(self, port: int) -> str:
        may_be_asked = "" if self._is_old else "enable-debug-command local\n"  # before Redis 7 everyone may
        return super()._conf(port) + may_be_asked


class Servers:
    """The servers of some faults, one after another."""

    def __init__(self, found: Programs, folder: Path, net: Network, brokers: int = 1) -> None:
        self.programs, self.folder, self.net = found, folder, net
        if brokers == 1:
            self.brokers = [LinkedKafka(found, folder / "kafka", net)]
        else:
            cluster_id = kafka_config.cluster_id(uuid.uuid4().bytes)
            self.brokers = [
                LinkedKafka(found, folder / f"kafka-{number}", net, cluster_id, REPLICATED)
                for number in range(1, brokers + 1)
            ]
            for broker in self.brokers:
                broker.invite(dict(enumerate(self.brokers, 1)))
        self.redis = LinkedRedis(found, folder / "redis")
        self._others: list[LinkedRedis] = []  # replicas, and what was one's master
        self._replicas = 0

    def start(self) -> None:
        """Start everything."""
        with_free_port(0, 0, self.redis.start)
        self.redis_link, self.redis_watch = self.net.link(self.redis.port), self.net.link(self.redis.port)
        for broker in self.brokers:
            broker.begin(free_port(0, 0))
        for broker in self.brokers:
            broker.await_answer()

    @property
    def kafka(self) -> LinkedKafka:
        """Return the broker, or the first of several."""
        return self.brokers[0]

    @property
    def links(self) -> tuple[Link, ...]:
        """Return the services' ways to the servers."""
        return (*(broker.link for broker in self.brokers), self.redis_link)

    @property
    def bootstrap(self) -> str:
        """Return the brokers' addresses for those who look on."""
        return ",".join(f"127.0.0.1:{broker.port}" for broker in self.brokers)

    @property
    def linked_bootstrap(self) -> str:
        """Return the brokers' addresses for the services."""
        return ",".join(f"127.0.0.1:{broker.link.port}" for broker in self.brokers)

    @property
    def are_well(self) -> bool:
        """Return whether all servers run."""
        return all(server.pid is not None for server in (*self.brokers, self.redis))

    def replica(self) -> LinkedRedis:
        """Start a second Redis, which is nobody's replica yet."""
        self._replicas += 1
        second = LinkedRedis(self.programs, self.folder / f"redis-{self._replicas}")
        with_free_port(0, 0, second.start)
        self._others.append(second)
        return second

    def promote(self, other: LinkedRedis) -> None:
        """Let everyone, those who look on too, meet another Redis from now on, and kill the one before."""
        before, self.redis = self.redis, other
        self._others.remove(other)
        self._others.append(before)
        for link in (self.redis_link, self.redis_watch):
            link.lead_to(other.port)
        before.kill()

    def restart(self, server: Server) -> None:
        """Kill a server, and start it again with its data on its port."""
        server.kill()
        server.start(server.port)

    def stop(self) -> None:
        """End everything."""
        running = (*self.brokers, self.redis, *self._others)
        for server in running:
            server.terminate()
        for server in running:
            server.end()


def programs(progress: Callable[[str], None]) -> Programs:
    """Return what the servers are started from."""
    return prepared(cache_folder(os.environ.get("DRIFTLINE_CACHE", ""), os.environ), progress)


@contextmanager
def servers(found: Programs, brokers: int = 1) -> Iterator[Servers]:
    """Run a Kafka and a Redis behind links while the block runs; enter it from the main thread."""
    with tempfile.TemporaryDirectory(prefix="driftline-servers-") as folder, network() as net:
        running = Servers(found, Path(folder), net, brokers)
        try:
            running.start()
            yield running
        finally:
            running.stop()
