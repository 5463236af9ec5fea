"""Servers whose certificates are not accepted, and one that speaks no TLS: what is said, and what mends it."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from confluent_kafka import KafkaError

from shared.adapters.kafka import KafkaExclusiveWriter
from shared.adapters.kafka.client import Outage, client_settings
from shared.adapters.kafka.refusal import probe, refusal
from shared.adapters.redis import answering, connect
from shared.errors import Denied, Unavailable
from shared.settings import Settings
from tests.kit.certificates import authority, signed


@contextmanager
def shaking_hands(certificate: Path | None) -> Iterator[int]:
    """Listen on a port, shake hands with whoever comes, and hang up; without a certificate, say nothing at all."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if certificate is not None:
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.settimeout(5)
                if certificate is not None:
                    context.wrap_socket(connection, server_side=True).close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def settings_for(port: int, ca: Path, host: str) -> Settings:
    return Settings(
        bootstrap=f"{host}:{port}",
        kafka_security_protocol="SSL",
        kafka_ca=str(ca),
        redis_url=f"rediss://{host}:{port}/0",
        redis_ca=str(ca),
    )


def kafka_says(settings: Settings) -> str | None:
    return probe(client_settings(settings.kafka, "test", Outage()), settings.kafka)


def redis_says(settings: Settings) -> str:
    with closing(connect(settings.redis)) as client, pytest.raises(Denied) as denied, answering():
        client.ping()
    return str(denied.value)


@pytest.mark.parametrize(
    ("host", "days", "trusted", "says", "mend"),
    [
        ("127.0.0.1", -1, "ca", "certificate has expired", "the server needs a new one"),
        ("127.0.0.1", 2, "other", "unable to get local issuer certificate", "{}_CA must hold the authority that"),
        ("localhost", 2, "ca", "Hostname mismatch, certificate is not valid for 'localhost'", "connect by a name that"),
    ],
    ids=["expired", "unknown authority", "another host"],
)
def test_a_certificate_that_is_not_accepted_is_told_of_with_what_mends_it(
    host: str, days: int, trusted: str, says: str, mend: str, tmp_path: Path
) -> None:
    ca = authority(tmp_path)
    authority(tmp_path, "other")
    certificate = signed(ca, "server", "IP:127.0.0.1", days=days)

    with shaking_hands(certificate) as port:
        settings = settings_for(port, tmp_path / f"{trusted}.pem", host)
        said = {"KAFKA": kafka_says(settings), "REDIS": redis_says(settings)}

    for name, text in said.items():
        assert text is not None
        assert f"its certificate is not accepted, {says}: {mend.format(f'DRIFTLINE_{name}')}" in text
    assert (said["KAFKA"] or "").startswith(f"Kafka at {host}:{port}: ")


def test_who_opens_a_name_to_write_is_told_too(tmp_path: Path) -> None:
    ca = authority(tmp_path)

    with shaking_hands(signed(ca, "server", "IP:127.0.0.1", days=-1)) as port:
        settings = settings_for(port, ca, "127.0.0.1")
        with pytest.raises(Denied, match="its certificate is not accepted, certificate has expired"):
            KafkaExclusiveWriter(settings.kafka, "test", "alerts", patience=0.5)


def test_a_listener_of_another_protocol_is_suspected() -> None:
    with shaking_hands(None) as port:
        settings = Settings(bootstrap=f"127.0.0.1:{port}")

        said = kafka_says(settings)

    where = f"Kafka at 127.0.0.1:{port} takes connections and does not answer"
    assert said == f"{where}: DRIFTLINE_KAFKA_SECURITY_PROTOCOL is PLAINTEXT; is it the listener's?"


def test_of_brokers_that_are_not_there_nothing_more_is_said() -> None:
    assert kafka_says(Settings(bootstrap="127.0.0.1:1")) is None


LOGIN = "sasl_ssl://b:1/bootstrap: SASL"
KNOWN = Settings(kafka_security_protocol="SASL_SSL", kafka_username="joiner", kafka_password="secret")  # noqa: S106


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            f"{LOGIN} authentication error: Authentication failed during authentication due to invalid credentials "
            "with SASL mechanism SCRAM-SHA-512 (after 3ms in state AUTH_REQ)",
            "Kafka does not know joiner with this password (SCRAM-SHA-512): mend DRIFTLINE_KAFKA_USERNAME or "
            "DRIFTLINE_KAFKA_PASSWORD",
        ),
        (
            f"{LOGIN} PLAIN mechanism handshake failed: Broker: Unsupported SASL mechanism: broker's supported "
            "mechanisms: SCRAM-SHA-256",
            "Kafka does not take SCRAM-SHA-512: set DRIFTLINE_KAFKA_SASL_MECHANISM to one of SCRAM-SHA-256",
        ),
        (f"{LOGIN} authentication error: expired", f"Kafka refuses joiner: {LOGIN} authentication error: expired"),
    ],
    ids=["password", "mechanism", "else"],
)
def test_a_refused_login_names_what_to_mend(text: str, said: str) -> None:
    outage = Outage()
    client_settings(KNOWN.kafka, "test", outage)
    outage.heard(KafkaError(KafkaError._AUTHENTICATION, text))
    outage.heard(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))

    with pytest.raises(Denied) as denied:
        outage.ask()
    outage.ask()  # once is enough

    assert str(denied.value) == said


def test_an_outage_is_none_of_that() -> None:
    outage = Outage()
    client_settings(KNOWN.kafka, "test", outage)
    outage.heard(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"))

    assert refusal(KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"), KNOWN.kafka) is None
    with pytest.raises(Unavailable, match=r"^Kafka does not answer: 1/1 brokers are down$") as away:
        outage.ask()
    assert type(away.value) is Unavailable
