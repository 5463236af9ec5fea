"""What Redis is told, and which Redis will do."""

from __future__ import annotations

import re
from pathlib import Path

OLDEST = (6, 2)


def redis_conf(*, port: int, folder: Path, security: str = "") -> str:
    """Return `redis.conf`: durable to a second, and never evicting, as a production Redis of Driftline must be.

    security: what makes it a secured one, and takes the place of its open port.
    """
    return f"""bind 127.0.0.1
{security or f"port {port}"}
dir "{folder}"
daemonize no
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


def redis_version(banner: str) -> str:
    """Return the version in what `redis-server --version` prints; empty when there is none."""
    found = re.search(r"v=(\d+(?:\.\d+)+)", banner)
    return found.group(1) if found else ""


def is_new_enough(version: str) -> bool:
    """Say whether a Redis of `version` serves."""
    return version != "" and tuple(int(part) for part in version.split(".")[:2]) >= OLDEST
