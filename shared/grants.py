"""Who may do what on Kafka and on Redis: one principal a role, and no more than its role needs.

Sequence numbers in the logs are trusted, so whoever may write a log of ours is trusted with what follows from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from shared.services import SHARING
from shared.settings import Settings
from shared.shares import group_of


class Resource(StrEnum):
    """What a grant is about, as Kafka calls it."""

    TOPIC = "topic"
    GROUP = "group"
    TRANSACTIONAL_ID = "transactional-id"


class Operation(StrEnum):
    """What is allowed, as Kafka calls it. READ and WRITE imply DESCRIBE."""

    READ = "Read"
    WRITE = "Write"
    CREATE = "Create"
    DESCRIBE = "Describe"
    DESCRIBE_CONFIGS = "DescribeConfigs"


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One thing that one role may do. is_prefix: `name` is how the names begin."""

    role: str
    resource: Resource
    name: str
    operation: Operation
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class _Role:
    """What a role reads and writes, by the names in `shared.topics.Topics`; a member reads as a consumer group."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    is_member: bool = False


_LOGS = ("halves", "observations", "alerts", "incidents", "retraining", "profiles", "control", "checkpoints")
_ALL = ("predictions", "ground_truth", *_LOGS, "dead_letters")
_ROLES: Mapping[str, _Role] = {
    "producer": _Role(writes=("predictions", "ground_truth")),
    "prediction_consumer": _Role(("predictions", "control"), ("halves", "dead_letters"), is_member=True),
    "ground_truth_consumer": _Role(("ground_truth", "control"), ("halves", "dead_letters"), is_member=True),
    "joiner": _Role(("halves",), ("observations",)),
    "detector": _Role(("observations", "control", "checkpoints"), ("alerts", "incidents", "profiles", "checkpoints")),
    "retrain_trigger": _Role(("alerts", "retraining"), ("retraining", "dead_letters"), is_member=True),
    "notifier": _Role(("alerts",), ("dead_letters",), is_member=True),
    # Whoever gives commands: topics, baselines, acceptances, dead letters sent again, checkpoints deleted.
    "operator": _Role(_ALL, ("halves", "control", "retraining", "checkpoints")),
    "eraser": _Role(("halves", "control"), ("halves", "control")),  # `erase`
    "verifier": _Role(_ALL),  # `verify` and `tail`
    "subscriber": _Role(("alerts", "incidents", "retraining")),
}
ROLES = tuple(_ROLES)


def grants_of(role: str, settings: Settings) -> list[Grant]:
    """Return what a role may do on Kafka, topics first; nothing for a name that is no role."""
    return sorted(set(_grants(role, settings))) if role in _ROLES else []


def _grants(role: str, settings: Settings) -> Iterator[Grant]:
    found, topics = _ROLES[role], settings.topics
    for operation, names in ((Operation.READ, found.reads), (Operation.WRITE, found.writes)):
        for name in names:
            yield Grant(role, Resource.TOPIC, getattr(topics, name), operation)
    if role not in ("producer", "subscriber"):
        # At their start, services compare their topics with what these must be.
        for name in {*found.reads, *found.writes}:
            yield Grant(role, Resource.TOPIC, getattr(topics, name), Operation.DESCRIBE_CONFIGS)
    for group in _groups(role, found, settings):
        yield Grant(role, Resource.GROUP, settings.group(group), Operation.READ)
    groups = settings.group("")
    match role:
        case "detector":
            yield from (
                Grant(role, Resource.TRANSACTIONAL_ID, settings.group("alerts-"), operation, True)
                for operation in (Operation.DESCRIBE, Operation.WRITE)
            )
        case "eraser":  # it says how long what it cannot erase will stay
            for name in ("predictions", "ground_truth", "observations", "dead_letters"):
                yield Grant(role, Resource.TOPIC, getattr(topics, name), Operation.DESCRIBE_CONFIGS)
        case "operator":
            for name in _ALL:
                yield Grant(role, Resource.TOPIC, getattr(topics, name), Operation.CREATE)
            yield Grant(role, Resource.GROUP, groups, Operation.DESCRIBE, is_prefix=True)
        case "verifier":
            yield Grant(role, Resource.GROUP, groups, Operation.DESCRIBE, is_prefix=True)
        case "subscriber":
            yield Grant(role, Resource.GROUP, f"{groups}subscriber-", Operation.READ, is_prefix=True)


def _groups(role: str, found: _Role, settings: Settings) -> Iterator[str]:
    """Yield the groups that a role is a member of, or tells something."""
    if found.is_member or role == "joiner":  # it tells its group how far everything is acknowledged
        yield role
    if settings.assignment == "group" and role in SHARING:
        yield group_of(role)


@dataclass(frozen=True, slots=True)
class RedisGrant:
    """What one role may do on Redis: commands, upon keys that match a pattern."""

    role: str
    patterns: tuple[str, ...]
    commands: tuple[str, ...]

    def rule(self, user: str) -> str:
        """Return the command that makes `user` of it, all but the password."""
        allowed = " ".join(f"+{command}" for command in self.commands)
        patterns = " ".join(f"~{pattern}" for pattern in self.patterns)
        return f"ACL SETUSER {user} reset on {patterns} {allowed}"


def redis_grants(settings: Settings) -> list[RedisGrant]:
    """Return what each role that uses Redis may do there; FLUSHALL, CONFIG, KEYS and DEBUG are nobody's."""
    ours = f"driftline:{settings.installation}:"
    views, books, checkpoints = f"{{{ours}{settings.halves_partitions}:*", f"{{{ours}notify:*", f"{ours}ck:*"
    scripts = ("evalsha", "script|load")
    grants = [
        RedisGrant(
            "joiner",
            (views,),
            ("hmget", "hlen", "hget", "hset", "exists", "rename", "unlink", "multi", "exec", "info", *scripts),
        ),
        RedisGrant("detector", (checkpoints,), ("get", "getrange", "set", *scripts)),
        RedisGrant("notifier", (books,), ("hgetall", "hget", "hset", "hdel", "unlink", "rpush", "ltrim", *scripts)),
        RedisGrant("operator", (views, checkpoints), ("unlink", "hset", "multi", "exec")),  # `repair`
        RedisGrant("verifier", (views, checkpoints), ("hmget", "hlen", "hget", "hscan", "get", "multi", "exec")),
    ]
    # Whoever uses a cluster must learn which node has which keys, and which words of a command are keys.
    more = ("cluster|slots", "command") if settings.redis.is_cluster else ()
    return [replace(grant, commands=grant.commands + more) for grant in grants]
