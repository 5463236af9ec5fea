"""Secrets and certificates as files: what is read, and what is said of a file that cannot be used."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from shared.adapters.credentials import reveal, surroundings, tls_context
from shared.adapters.kafka import KafkaAdmin
from shared.adapters.kafka.client import Outage, client_settings
from shared.adapters.redis import connect
from shared.errors import ConfigurationError
from shared.settings import Settings, read_settings
from tests.kit.certificates import authority, signed


def test_a_secret_is_what_its_file_holds_when_it_is_needed(tmp_path: Path) -> None:
    file = tmp_path / "password"
    secret = Settings(kafka_password_file=str(file)).kafka.password
    file.write_text("first\n")
    first = reveal(secret)
    file.write_text("second\r\n")

    assert (first, reveal(secret)) == ("first", "second")


def test_the_key_of_request_ids_is_read_once_at_the_start(tmp_path: Path) -> None:
    file = tmp_path / "id-key"
    file.write_text("key\n")

    settings = surroundings({"DRIFTLINE_ID_KEY_FILE": str(file)})

    assert (settings.id_key, settings.environment()["DRIFTLINE_ID_KEY"]) == ("key", "")


@pytest.mark.parametrize(("content", "message"), [(None, "cannot read .*: No such file"), ("\n", "is empty")])
def test_a_file_without_a_secret_is_refused_by_its_variable(content: str | None, message: str, tmp_path: Path) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)

    with pytest.raises(ConfigurationError, match=f"DRIFTLINE_REDIS_PASSWORD_FILE: .*{message}"):
        connect(Settings(redis_password_file=str(file)).redis)


def test_a_locked_key_is_unlocked(tmp_path: Path) -> None:
    ca = authority(tmp_path)
    certificate = signed(ca, "client", password="secret")  # noqa: S106
    settings = Settings(
        kafka_security_protocol="SSL",
        kafka_ca=str(ca),
        kafka_certificate=str(certificate),
        kafka_key=str(tmp_path / "client.key"),
        kafka_key_password="secret",  # noqa: S106
    )

    context = tls_context(settings.kafka.tls)
    KafkaAdmin(settings.kafka)  # the library accepts it, too

    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert [found["subject"] for found in context.get_ca_certs()] == [((("commonName", "authority ca"),),)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kafka_ca": "missing.pem"}, "DRIFTLINE_KAFKA_CA: cannot read .*missing.pem: No such file"),
        ({"kafka_ca": "text"}, "DRIFTLINE_KAFKA_CA: .*text holds no certificates in PEM"),
        ({"kafka_certificate": "missing.pem"}, "DRIFTLINE_KAFKA_CERTIFICATE: cannot read .*missing.pem"),
        ({"kafka_key": "missing.key"}, "DRIFTLINE_KAFKA_KEY: cannot read .*missing.key"),
        ({"kafka_key": "ca.key"}, "DRIFTLINE_KAFKA_KEY: .*client.pem and .*ca.key: they do not belong together"),
        ({"kafka_key_password": "wrong"}, "DRIFTLINE_KAFKA_KEY: .*DRIFTLINE_KAFKA_KEY_PASSWORD does not unlock"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_refused_by_its_variable(
    given: dict[str, str], message: str, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("hello")
    signed(authority(tmp_path), "client", password="secret")  # noqa: S106
    usual = {"kafka_ca": "ca.pem", "kafka_certificate": "client.pem", "kafka_key": "client.key"}
    files = {name: str(tmp_path / file) for name, file in {**usual, **given}.items() if "password" not in name}
    locked = {"kafka_key_password": "secret", **given, **files, "kafka_security_protocol": "SSL"}
    settings = read_settings({f"DRIFTLINE_{name.upper()}": value for name, value in locked.items()})

    with pytest.raises(ConfigurationError, match=message) as refused:
        KafkaAdmin(settings.kafka)

    assert "secret" not in str(refused.value)


def test_brokers_are_always_verified_and_asked_with_the_password_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    settings = Settings(
        kafka_security_protocol="SASL_SSL", kafka_username="joiner", kafka_password_file=str(tmp_path / "password")
    )

    given = client_settings(settings.kafka, "test", Outage())

    assert {name: value for name, value in given.items() if name.startswith(("s", "enable"))} == {
        "security.protocol": "SASL_SSL",
        "enable.ssl.certificate.verification": True,
        "ssl.endpoint.identification.algorithm": "https",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "joiner",
        "sasl.password": "secret",
    }
