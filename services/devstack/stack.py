"""What is asked of an embedded stack, what a running one says of itself, and how it fails."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from shared.errors import DriftlineError


class StackFailed(DriftlineError):
    """The stack cannot start; the text says why and what to do next."""


class PortLost(StackFailed):
    """Another program bound the port between our choosing it and the server's binding it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StackOptions:
    """How to start. A port: None takes the usual one when it is free, else any free one; 0 any free one."""

    cache: Path  # Kafka's jars are kept here, for every stack of this user
    data: Path | None = None  # None: a temporary folder, deleted after a clean stop
    kafka_port: int | None = None
    redis_port: int | None = None
    secure: bool = False  # TLS, a password for everyone, and nothing allowed but to the administrator


class StackDescription(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of `stack.json` in the data folder: where everything is, for people and scripts."""

    bootstrap: str
    redis_url: str
    secrets: str | None  # of a secured stack: the folder with `ca.pem` and `admin.password`
    data: str
    kafka_version: str
    redis_version: str
    redis_server: str
    java: str
    java_version: int
    pids: dict[str, int]  # `driftline`, `kafka`, `redis`; a server that is down has none
