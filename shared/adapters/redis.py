"""A connection to Redis as every store needs it: short waits, no repeats, and it says when it is away."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisClusterException
from redis.retry import Retry

from shared.access import RedisAccess
from shared.adapters.credentials import of_certificate, reveal, tls_context
from shared.errors import ConfigurationError, Denied, Unavailable

TIMEOUT_SECONDS = 2.0
# As the user of a script is told, by Redis up to 7.0 and since.
_NOT_ALLOWED = re.compile("user executing the script can't|ACL failure in script")

# Answers of a server that is there but cannot serve now, as it words them inside a script too.
_AWAY = ("OOM", "READONLY", "MISCONF", "NOREPLICAS", "LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY")


_KEEPS = "noeviction"


def connect(access: RedisAccess, timeout: float = TIMEOUT_SECONDS) -> redis.Redis:
    """Return a client; it connects when it is first used, and looks for its password at each connection.

    Of a cluster it is redis-py's, which has the same commands, and asks a node for the others at once.

    Raises:
        Unavailable: no node of the cluster says which there are.
        ConfigurationError: not the URL of a Redis; does not repeat it, for it may hold a password. Or a secret or a
            certificate cannot be read.
    """
    given: dict[str, Any] = {}
    if access.uses_tls:
        tls = access.tls
        tls_context(tls)  # refuses, in words, what would be refused in OpenSSL's
        given = {
            "ssl_ca_certs": tls.ca or None,
            "ssl_certfile": tls.certificate or None,
            "ssl_keyfile": tls.key or None,
            "ssl_password": reveal(tls.key_password) or None,
            "ssl_cert_reqs": "required",
            "ssl_check_hostname": True,
        }
    if access.password.is_given:
        reveal(access.password)
        given["credential_provider"] = _Credentials(access)
    # No retries: a compare-and-set whose answer was lost may have happened, and only the caller can find out.
    client: Any = redis.RedisCluster if access.is_cluster else redis.Redis
    given |= {"socket_timeout": timeout, "socket_connect_timeout": timeout, "retry": Retry(NoBackoff(), 0)}
    try:
        with answering():
            return cast("redis.Redis", client.from_url(access.node_url, **given))
    except ValueError:
        raise ConfigurationError(
            "DRIFTLINE_REDIS_URL",
            "is not redis://[user:password@]host:port/number, with rediss:// for TLS, redis+cluster:// for a cluster",
        ) from None


class _Credentials(redis.CredentialProvider):
    """Who we are, as the files say now."""

    def __init__(self, access: RedisAccess) -> None:
        self._access = access

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        password = reveal(self._access.password)
        return (self._access.username, password) if self._access.username else (password,)


def refuse_eviction(client: redis.Redis) -> None:
    """Return when Redis keeps what it is given; where we may not ask, it is taken to.

    Raises:
        ConfigurationError: it evicts keys when its memory is full.
        Unavailable: it does not serve.
    """
    try:
        with answering():
            told = _memory(client)
    except Denied as exc:
        if isinstance(exc.__cause__, redis.exceptions.NoPermissionError):
            return
        raise
    for server in told:
        policy = server.get("maxmemory_policy", _KEEPS)
        if policy != _KEEPS and server.get("maxmemory"):
            raise ConfigurationError(
                "DRIFTLINE_REDIS_URL", f"this Redis evicts keys (maxmemory-policy {policy}); set it to {_KEEPS}"
            )


def _memory(client: redis.Redis | redis.RedisCluster) -> list[dict[str, Any]]:
    """Return what each server that holds keys says of its memory."""
    if isinstance(client, redis.RedisCluster):
        cluster: Any = client  # some of its methods have no types
        return [cluster.info("memory", target_nodes=node) for node in cluster.get_primaries()]
    return [client.info("memory")]


@contextmanager
def answering() -> Iterator[None]:
    """Translate "Redis does not serve" into `Unavailable`, "not you" into `Denied`; anything else is a bug of ours."""
    try:
        yield
    except redis.AuthenticationError as exc:
        raise Denied(f"Redis refuses us: {exc}; mend DRIFTLINE_REDIS_USERNAME or DRIFTLINE_REDIS_PASSWORD") from exc
    except redis.ConnectionError as exc:
        if isinstance(distrust := exc.__context__, ssl.SSLCertVerificationError):
            why = of_certificate(distrust.verify_code, distrust.verify_message, "DRIFTLINE_REDIS")
            raise Denied(f"Redis: {why}") from exc
        raise Unavailable(f"Redis: {exc}") from exc
    except (redis.TimeoutError, redis.ReadOnlyError, redis.OutOfMemoryError, RedisClusterException) as exc:
        raise Unavailable(f"Redis: {exc}") from exc
    except redis.ResponseError as exc:
        if isinstance(exc, redis.exceptions.NoPermissionError) or _NOT_ALLOWED.search(str(exc)):
            raise Denied(f"Redis: {exc}; `driftline redis acl` prints what our user needs") from exc
        if any(code in str(exc) for code in _AWAY):
            raise Unavailable(f"Redis: {exc}") from exc
        raise
