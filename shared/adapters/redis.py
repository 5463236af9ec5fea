"""A connection to Redis as every store needs it: short waits, no repeats, and it says when it is away."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.errors import ConfigurationError, Unavailable

TIMEOUT_SECONDS = 2.0

# Answers of a server that is there but cannot serve now, as it words them inside a script too.
_AWAY = ("OOM", "READONLY", "MISCONF", "NOREPLICAS", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY")


def connect(url: str) -> redis.Redis:
    """Return a client; it connects when it is first used.

    Raises:
        ConfigurationError: not the URL of a Redis; does not repeat it, for it may hold a password.
    """
    # No retries: a compare-and-set whose answer was lost may have happened, and only the caller can find out.
    try:
        return redis.Redis.from_url(
            url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=TIMEOUT_SECONDS, retry=Retry(NoBackoff(), 0)
        )
    except ValueError:
        raise ConfigurationError(
            "DRIFTLINE_REDIS_URL", "is not redis://[user:password@]host:port/number, with rediss:// for TLS"
        ) from None


@contextmanager
def answering() -> Iterator[None]:
    """Translate "Redis does not serve" into `Unavailable`; any other refusal is a bug of ours."""
    try:
        yield
    except (redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError, redis.OutOfMemoryError) as exc:
        raise Unavailable(f"Redis: {exc}") from exc
    except redis.ResponseError as exc:
        if any(code in str(exc) for code in _AWAY):
            raise Unavailable(f"Redis: {exc}") from exc
        raise
