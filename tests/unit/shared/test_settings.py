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
