from __future__ import annotations

from pathlib import Path

import pytest

from services.devstack.redis_config import is_new_enough, redis_conf, redis_version


def test_redis_keeps_what_it_acknowledged_and_evicts_nothing() -> None:
    lines = redis_conf(port=6379, folder=Path("/data/redis")).splitlines()

    assert {"appendonly yes", "appendfsync everysec", "maxmemory-policy noeviction"} <= set(lines)
    assert {"bind 127.0.0.1", "port 6379", 'dir "/data/redis"'} <= set(lines)


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1", "7.0.15"),
        ("Redis server v=6.2.14 sha=40305114:0 malloc=libc bits=64 build=dff95a8e7a99d269", "6.2.14"),
        ("command not found", ""),
    ],
)
def test_redis_version_is_read_from_its_banner(banner: str, version: str) -> None:
    assert redis_version(banner) == version


@pytest.mark.parametrize(
    ("version", "verdict"), [("7.0.15", True), ("6.2.14", True), ("6.0.16", False), ("10.0.0", True), ("", False)]
)
def test_redis_serves_from_6_2_on(version: str, verdict: bool) -> None:
    assert is_new_enough(version) is verdict
