"""Why a broker does not talk to us, in words that say what to mend."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from shared.access import KafkaAccess, Tls
from shared.adapters.credentials import of_certificate, tls_context

PROBE_SECONDS = 5.0
_LOOK_SECONDS = 0.1
_ADDRESS = re.compile(r"ssl://\[?([^/\]]+)\]?:(\d+)/")


def refusal(error: KafkaError, access: KafkaAccess) -> str | None:
    """Return what a broker or we have against the other side; None where `error` is another one."""
    text = error.str().partition(" (after ")[0]
    if error.code() == KafkaError._AUTHENTICATION:  # noqa: SLF001 - a public code
        if "Unsupported SASL mechanism" in text:
            wanted = text.rpartition(":")[2].strip()
            return f"Kafka does not take {access.mechanism}: set DRIFTLINE_KAFKA_SASL_MECHANISM to one of {wanted}"
        if "invalid credentials" in text:
            mend = f"mend DRIFTLINE_KAFKA_USERNAME or {access.password.name}"
            return f"Kafka does not know {access.username} with this password ({access.mechanism}): {mend}"
        return f"Kafka refuses {access.username}: {text}"
    if error.code() == KafkaError._SSL or "SSL routines" in text:  # noqa: SLF001 - as above
        found = _ADDRESS.search(text)
        distrust = found and distrusted(found[1], int(found[2]), access.tls)
        where = f"{found[1]}:{found[2]}" if found else access.bootstrap
        if distrust:
            return f"Kafka at {where}: {distrust}"
        return f"Kafka at {where} ends TLS; does it take DRIFTLINE_KAFKA_CERTIFICATE? {text.rpartition('failed: ')[2]}"
    return None


def distrusted(host: str, port: int, tls: Tls) -> str | None:
    """Shake hands once more, with a library that tells more; return what is wrong with the other side's certificate."""
    try:
        with (
            socket.create_connection((host, port), timeout=PROBE_SECONDS) as plain,
            tls_context(tls).wrap_socket(plain, server_hostname=host),
        ):
            return None
    except ssl.SSLCertVerificationError as exc:
        return of_certificate(exc.verify_code, exc.verify_message, tls.prefix)
    except OSError:
        return None


def probe(settings: dict[str, Any], access: KafkaAccess) -> str | None:
    """Return why no broker talks to us; None where one does, or nothing can be said."""
    heard: list[KafkaError] = []
    quiet = logging.getLogger("driftline.probe")
    quiet.addHandler(logging.NullHandler())
    if not any(_listens(server.strip()) for server in access.bootstrap.split(",")):
        return None
    noting: dict[str, Any] = {"error_cb": heard.append, "logger": quiet}
    client = AdminClient({**settings, **noting})
    deadline = time.monotonic() + PROBE_SECONDS
    while time.monotonic() < deadline:
        client.poll(_LOOK_SECONDS)
        for error in heard:
            if (found := refusal(error, access)) is not None:
                return found
        heard.clear()
        if _answers(lambda: client.list_topics(timeout=_LOOK_SECONDS)):
            return None
    given = f"DRIFTLINE_KAFKA_SECURITY_PROTOCOL is {access.protocol}"
    return f"Kafka at {access.bootstrap} takes connections and does not answer: {given}; is it the listener's?"


def _answers(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except KafkaException:
        return False
    return True


def _listens(server: str) -> bool:
    host, _, port = server.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=1.0):
            return True
    except (OSError, ValueError):
        return False
