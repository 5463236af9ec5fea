"""A Redis that dies, goes back in time, is emptied, and whose answers get lost."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import Any

import msgspec
import redis

from shared.runtime import ExitCode
from tests.faults.fault import Fault
from tests.faults.links import Link
from tests.faults.rig import Rig
from tests.faults.servers import LinkedRedis

REPLIES = 3
SLEEP_SECONDS = 8
PLENTY = 1 << 40  # bytes


def killed(rig: Rig) -> None:
    rig.start()
    rig.write()
    rig.await_joined(0.3)
    server = rig.servers.redis
    before = server.pid
    rig.servers.restart(server)
    rig.settle()
    rig.happened(kills=int(server.pid != before))
    rig.saw(copies_dropped=rig.copies(), swaps_that_failed=rig.crew.count("joiner", "joiner_restarts_total"))


def tail_lost(rig: Rig) -> None:
    rig.start()
    rig.write()
    rig.await_joined(0.5)
    rig.servers.redis_link.close()  # so that nobody moves on before it is seen how far back it went
    before = positions(rig)
    rig.servers.redis.kill()
    lost = rig.servers.redis.cut(rig.dice.uniform(0.05, 0.5))
    rig.servers.redis.start(rig.servers.redis.port)
    rig.happened(bytes_lost=lost, records_gone_back=before - positions(rig))
    rig.servers.redis_link.heal()
    rig.settle()
    rig.saw(copies_dropped=rig.copies())


def wiped(rig: Rig) -> None:
    rig.start()
    rig.write()
    rig.await_joined(0.5)
    rig.servers.redis_link.close()
    before = sum(kept.position is not None for kept in rig.here.view().values())
    rig.redis.flushall()
    rig.happened(shards_emptied=before - sum(kept.position is not None for kept in rig.here.view().values()))
    rig.crew.kill("detector")
    rig.servers.redis_link.heal()
    rig.settle()
    rig.saw(copies_dropped=rig.copies())


def full(rig: Rig) -> None:
    rig.start()
    rig.write()
    rig.await_joined(0.3)
    refused = errors(rig, "OOM")
    rig.redis.config_set("maxmemory", rig.redis.info("memory")["used_memory"])
    rig.until("Redis refuses", lambda: errors(rig, "OOM") > refused)
    rig.until("the joiner says that it waits", lambda: not rig.crew.is_ready("joiner"))
    live = rig.crew.is_live("joiner")
    rig.redis.config_set("maxmemory", 0)
    rig.until("the joiner works again", lambda: rig.crew.is_ready("joiner"))
    rig.settle()
    rig.happened(writes_refused=errors(rig, "OOM") - refused)
    rig.holds("the joiner's loop comes round meanwhile", live)
    rig.holds("no service ends", not rig.crew.ends)


def evicting(rig: Rig) -> None:
    rig.start()
    rig.write()
    rig.await_joined(0.5)
    before = rig.redis.info("stats")["evicted_keys"]
    rig.redis.config_set("maxmemory-policy", "allkeys-lru")
    rig.redis.config_set("maxmemory", rig.redis.info("memory")["used_memory"] // 2)
    rig.until("Redis evicts", lambda: rig.redis.info("stats")["evicted_keys"] > before)
    rig.redis.config_set("maxmemory", PLENTY)
    rig.crew.may_stop.add("joiner-2")
    refused = rig.crew.start("joiner-2")
    rig.until("a joiner refuses", lambda: refused.code is not None)
    rig.holds("a joiner refuses to start where Redis evicts", refused.code == ExitCode.CONFIGURATION)
    rig.redis.config_set("maxmemory", 0)
    rig.redis.config_set("maxmemory-policy", "noeviction")
    rig.settle()
    rig.happened(keys_evicted=rig.redis.info("stats")["evicted_keys"] - before)
    rig.saw(copies_dropped=rig.copies())


def interrupted(rig: Rig) -> None:
    rig.start()
    rig.write(per_second=1_500)
    rig.await_joined(0.2)
    before = {code: errors(rig, code) for code in ("NOSCRIPT", "READONLY")}
    rig.redis.script_flush()
    rig.until("a script is unknown", lambda: errors(rig, "NOSCRIPT") > before["NOSCRIPT"])
    killed = rig.redis.client_kill_filter(_type="normal", skipme=True)
    rig.await_joined(0.4)
    rig.redis.execute_command("DEBUG", "SLEEP", SLEEP_SECONDS)
    rig.await_joined(0.6)
    rig.redis.replicaof("127.0.0.1", rig.servers.kafka.port)  # nobody that it could be a replica of
    rig.until("writes are refused", lambda: errors(rig, "READONLY") > before["READONLY"])
    rig.redis.replicaof("NO", "ONE")
    rig.settle()
    rig.happened(
        scripts_unknown=errors(rig, "NOSCRIPT") - before["NOSCRIPT"],
        clients_killed=killed,
        writes_refused=errors(rig, "READONLY") - before["READONLY"],
    )
    rig.saw(copies_dropped=rig.copies())


def stale_replica(rig: Rig) -> None:
    servers = rig.servers
    way = servers.net.link(servers.redis.port)
    other, kept = attached(rig, way)
    rig.start()
    rig.write()
    rig.await_joined(0.3)
    way.black_hole()
    rig.await_joined(0.7)
    servers.redis_link.close()  # so that nobody moves on before it is seen how far back it went
    before = positions(rig)
    servers.promote(other)
    kept.replicaof("NO", "ONE")
    rig.happened(records_gone_back=before - positions(rig))
    servers.redis_link.heal()
    rig.settle()
    rig.saw(copies_dropped=rig.copies())


def split_brain(rig: Rig) -> None:
    servers = rig.servers
    other, kept = attached(rig, servers.net.link(servers.redis.port))
    rig.start()
    rig.write(per_second=1_500)
    rig.await_joined(0.3)
    begun = positions(rig)
    kept.replicaof("NO", "ONE")
    there = msgspec.structs.replace(rig.settings, redis_url=f"redis://127.0.0.1:{other.port}/0")
    rig.crew.start("joiner-2", settings=there)
    rig.crew.start("detector-2", settings=there)
    rig.until("both move on", lambda: positions(rig) > begun < positions_in(kept, rig))
    one, two = positions(rig), positions_in(kept, rig)
    servers.promote(other)
    rig.settle()
    rig.happened(records_of_the_first=one - begun, records_of_the_second=two - begun)
    rig.saw(copies_dropped=rig.copies())


def attached(rig: Rig, way: Link) -> tuple[LinkedRedis, Any]:
    """Return a replica of the servers' Redis that has all that it has, and a client of it."""
    other = rig.servers.replica()
    client: Any = redis.Redis(port=other.port)
    client.replicaof("127.0.0.1", way.port)
    rig.until("the replica follows", lambda: client.info("replication")["master_link_status"] == "up")
    return other, client


def replies_lost(rig: Rig) -> None:
    rig.start()
    link = rig.servers.redis_link
    rig.write()
    rig.await_joined(0.2)
    before = link.counts["replies lost"]
    link.lose_replies(swap_script(), REPLIES)
    rig.until("replies are lost", lambda: link.counts["replies lost"] - before == REPLIES)
    rig.settle()
    rig.happened(replies_lost=link.counts["replies lost"] - before)
    rig.holds("nothing is applied or written twice", rig.copies() == 0)


def errors(rig: Rig, code: str) -> int:
    """Return how often Redis has refused something for this reason."""
    return int(rig.redis.info("errorstats").get(f"errorstat_{code}", {"count": 0})["count"])


def positions(rig: Rig) -> int:
    """Return how many records of the halves the view has behind it."""
    return sum(kept.position or 0 for kept in rig.here.view().values())


def positions_in(client: Any, rig: Rig) -> int:
    """Return the same of another Redis."""
    keys = client.scan_iter(f"{{driftline:{rig.settings.installation}:*}}:m")
    return sum(int(client.hget(key, "pos")) for key in keys)


def swap_script() -> bytes:
    """Return how a client names the script that moves a shard."""
    script = (files("services.joiner.adapters") / "compare_and_set.lua").read_bytes()
    return hashlib.sha1(script, usedforsecurity=False).hexdigest().encode()


FAULTS = (
    Fault(28, "kill -9 of Redis", killed, is_minimum=True),
    Fault(29, "Redis loses the tail of its log", tail_lost, is_minimum=True),
    Fault(30, "Redis is emptied", wiped, is_minimum=True),
    Fault(31, "a replica that has missed writes becomes the master", stale_replica),
    Fault(32, "two masters, with clients each", split_brain),
    Fault(33, "Redis is full", full),
    Fault(34, "Redis evicts", evicting),
    Fault(35, "replies to the swap get lost", replies_lost, is_minimum=True),
    Fault(36, "scripts forgotten, clients killed, a Redis that sleeps and is read-only", interrupted),
)
