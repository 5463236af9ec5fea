"""The environment."""

from __future__ import annotations

import pytest

from shared.errors import ConfigurationError
from shared.services import SERVICES
from shared.settings import Settings, read_settings
from shared.topics import Topics


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings()


def test_variables_of_other_programs_are_ignored() -> None:
    assert read_settings({"PATH": "/bin", "KAFKA_BOOTSTRAP": "elsewhere:9092"}) == Settings()


def test_numbers_and_texts_are_taken_by_their_names() -> None:
    settings = read_settings(
        {
            "DRIFTLINE_BOOTSTRAP": "a:1,b:2",
            "DRIFTLINE_HALVES_PARTITIONS": "8",
            "DRIFTLINE_OBSERVATIONS_PARTITIONS": "3",
            "DRIFTLINE_TOPIC_PREFIX": "eu.",
            "DRIFTLINE_LOG_LEVEL": "debug",
        }
    )

    assert settings.bootstrap == "a:1,b:2"
    assert settings.topics == Topics(prefix="eu.", halves_partitions=8, observations_partitions=3)
    assert settings.log_level == "debug"


def test_settings_survive_the_way_to_another_process() -> None:
    settings = Settings(bootstrap="a:1", alerts_partitions=7, id_key="secret", fail="joiner.after_cas:exit@2")

    assert read_settings(settings.environment()) == settings


def test_every_service_has_a_port_of_its_own_in_order_of_flow() -> None:
    assert [Settings().health_port_of(service) for service in SERVICES] == [9300, 9301, 9302, 9303, 9304, 9305]
    assert {Settings(health_port=0).health_port_of(service) for service in SERVICES} == {0}


def test_a_first_port_without_room_for_the_others_is_refused() -> None:
    settings = Settings(health_port=65_533)

    assert settings.health_port_of("joiner") == 65_535
    with pytest.raises(ConfigurationError, match="DRIFTLINE_HEALTH_PORT: detector would need port 65536"):
        settings.health_port_of("detector")


def test_an_unknown_variable_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_settings({"DRIFTLINE_BOOTSTRP": "a:1"})

    assert str(refused.value) == "DRIFTLINE_BOOTSTRP: no such setting"


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("HALVES_PARTITIONS", "0", "Expected `int` >= 1"),
        ("HALVES_PARTITIONS", "many", "Expected `int`, got `str`"),
        ("LOG_LEVEL", "loud", "Expected `str` matching regex '^(debug|info|warning|error)$(?!\\\\n)'"),
        ("INSTALLATION", "", "Expected `str` matching regex '^[A-Za-z0-9._-]{1,64}$(?!\\\\n)'"),
        ("INSTALLATION", "main\n", "Expected `str` matching regex '^[A-Za-z0-9._-]{1,64}$(?!\\\\n)'"),
        ("TOPIC_PREFIX", "a b", "Expected `str` matching regex '^[A-Za-z0-9._-]{0,64}$(?!\\\\n)'"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_without_repeating_it(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_settings({f"DRIFTLINE_{name}": value})

    assert refused.value.path == f"DRIFTLINE_{name}"
    assert refused.value.message == message


def test_a_key_from_a_file_stays_in_its_file_on_the_way_to_another_process() -> None:
    settings = Settings(id_key="read", id_key_file="/run/secrets/id-key")

    assert read_settings(settings.environment()) == Settings(id_key_file="/run/secrets/id-key")


def test_settings_show_no_secret() -> None:
    settings = Settings(
        id_key="one",
        kafka_password="two",  # noqa: S106
        kafka_key_password="three",  # noqa: S106
        redis_password="four",  # noqa: S106
        redis_key_password="five",  # noqa: S106
        redis_url="redis://joiner:six@redis:6379/0",
    )

    shown = [repr(settings), repr(settings.__rich_repr__()), repr(settings.kafka), repr(settings.redis)]

    secrets = ("one", "two", "three", "four", "five", "six")
    assert [secret for secret in secrets for text in shown if f"'{secret}'" in text or f":{secret}@" in text] == []
    assert "redis_url='redis://…@redis:6379/0'" in shown[0]


def test_settings_of_open_servers_know_nothing_of_passwords_and_certificates() -> None:
    secured = Settings(kafka_security_protocol="SSL", kafka_ca="ca.pem", redis_username="joiner", installation="eu")

    assert secured.of_open_servers("a:1", "redis://b:2/0") == Settings(
        bootstrap="a:1", redis_url="redis://b:2/0", installation="eu"
    )


SASL = {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_USERNAME": "joiner", "KAFKA_PASSWORD_FILE": "/p"}
SSL = {"KAFKA_SECURITY_PROTOCOL": "SSL", "KAFKA_CERTIFICATE": "/c", "KAFKA_KEY": "/k"}
REDIS = {"REDIS_URL": "rediss://r:1/0", "REDIS_USERNAME": "joiner", "REDIS_PASSWORD": "secret", "REDIS_CA": "/ca"}


@pytest.mark.parametrize("given", [SASL, SSL, REDIS, {**SASL, **REDIS}])
def test_what_fits_together_is_accepted(given: dict[str, str]) -> None:
    settings = read_settings({f"DRIFTLINE_{name}": value for name, value in given.items()})

    assert {name.upper(): getattr(settings, name.lower()) for name in given} == given


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"KAFKA_SECURITY_PROTOCOL": "TLS"}, "KAFKA_SECURITY_PROTOCOL: Expected `str` matching regex .*PLAINTEXT"),
        ({"KAFKA_SASL_MECHANISM": "GSSAPI"}, "KAFKA_SASL_MECHANISM: Expected `str` matching regex .*SCRAM"),
        ({**SASL, "KAFKA_USERNAME": ""}, "KAFKA_USERNAME: is missing: SASL_SSL logs in with a name and a password"),
        ({**SASL, "KAFKA_PASSWORD_FILE": ""}, "KAFKA_PASSWORD: is missing: SASL_SSL logs in"),
        ({**SASL, "KAFKA_PASSWORD": "secret"}, "KAFKA_PASSWORD_FILE: DRIFTLINE_KAFKA_PASSWORD is given too"),
        ({"KAFKA_USERNAME": "joiner"}, "KAFKA_USERNAME: is not used without SASL; set DRIFTLINE_KAFKA_SECURITY"),
        ({"KAFKA_CA": "/ca"}, "KAFKA_CA: is not used without TLS; set DRIFTLINE_KAFKA_SECURITY_PROTOCOL to SSL"),
        ({**SSL, "KAFKA_KEY": ""}, "KAFKA_KEY: is missing: a certificate and its key come together"),
        ({**SSL, "KAFKA_CERTIFICATE": ""}, "KAFKA_CERTIFICATE: is missing: a certificate and its key come"),
        ({**SASL, "KAFKA_KEY_PASSWORD": "secret"}, "KAFKA_KEY_PASSWORD: there is no DRIFTLINE_KAFKA_KEY to unlock"),
        ({"REDIS_URL": "http://r:1"}, "REDIS_URL: must begin with one of redis://, rediss://, unix://"),
        ({"REDIS_URL": "rediss://r:1/0?ssl_cert_reqs=none"}, "REDIS_URL: takes no parameters after `\\?`"),
        ({"REDIS_URL": "redis://u:secret@r", "REDIS_PASSWORD": "secret"}, "REDIS_URL: holds a user of its own"),
        ({"REDIS_URL": "redis+cluster://r:1/3"}, "REDIS_URL: a Redis Cluster has only the database 0"),
        ({"REDIS_USERNAME": "joiner"}, "REDIS_PASSWORD: is missing: DRIFTLINE_REDIS_USERNAME has one"),
        ({**REDIS, "REDIS_URL": "redis://r:1/0"}, "REDIS_CA: is not used without TLS; begin DRIFTLINE_REDIS_URL"),
        ({"ID_KEY": "secret", "ID_KEY_FILE": "/k"}, "ID_KEY_FILE: DRIFTLINE_ID_KEY is given too; keep one of them"),
    ],
)
def test_what_does_not_fit_together_is_refused_by_its_name(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^DRIFTLINE_{message}") as refused:
        read_settings({f"DRIFTLINE_{name}": value for name, value in given.items()})

    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "is_cluster", "uses_tls", "node"),
    [
        ("redis://r:1/2", False, False, "redis://r:1/2"),
        ("redis+cluster://u:p@r:1", True, False, "redis://u:p@r:1"),
        ("rediss+cluster://r:1/0", True, True, "rediss://r:1/0"),
    ],
)
def test_a_node_of_a_redis_cluster_is_named_by_the_scheme(
    url: str, is_cluster: bool, uses_tls: bool, node: str
) -> None:
    access = read_settings({"DRIFTLINE_REDIS_URL": url}).redis

    assert (access.is_cluster, access.uses_tls, access.node_url) == (is_cluster, uses_tls, node)
