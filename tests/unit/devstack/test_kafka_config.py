from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from services.devstack import kafka_config


def _properties() -> dict[str, str]:
    text = kafka_config.server_properties(broker_port=9092, controller_port=20_001, logs=Path("/data/kafka/logs"))
    return dict(line.split("=", 1) for line in text.splitlines())


def test_the_broker_is_its_own_controller_and_listens_on_this_machine_only() -> None:
    properties = _properties()

    assert properties["process.roles"] == "broker,controller"
    assert properties["controller.quorum.voters"] == "1@127.0.0.1:20001"
    assert properties["listeners"] == "PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:20001"
    assert properties["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092"
    assert properties["log.dirs"] == "/data/kafka/logs"


def test_topics_are_never_created_by_accident_and_groups_start_at_once() -> None:
    properties = _properties()

    assert properties["auto.create.topics.enable"] == "false"
    assert properties["group.initial.rebalance.delay.ms"] == "0"


def test_every_internal_topic_gets_by_with_one_replica() -> None:
    factors = {name: value for name, value in _properties().items() if name.endswith(("replication.factor", "min.isr"))}

    assert set(factors.values()) == {"1"}
    assert len(factors) == 5


def test_the_logging_configuration_writes_to_a_path_of_any_characters() -> None:
    root = ElementTree.fromstring(kafka_config.log4j_xml(Path('/data/a & "b"/broker.log')))  # noqa: S314 - our own text

    appender = root.find("Appenders/RollingFile")
    assert appender is not None
    assert appender.get("fileName") == '/data/a & "b"/broker.log'


def test_the_broker_runs_in_a_heap_of_512_megabytes() -> None:
    command = kafka_config.broker_command(
        Path("/java"), "a.jar:b.jar", log4j=Path("/log4j2.xml"), properties=Path("/server.properties")
    )

    assert command == [
        "/java",
        "-Xmx512m",
        "-Dlog4j2.configurationFile=/log4j2.xml",
        "-cp",
        "a.jar:b.jar",
        "kafka.Kafka",
        "/server.properties",
    ]


def test_a_cluster_id_has_kafkas_22_characters() -> None:
    assert kafka_config.cluster_id(bytes(range(16))) == "AAECAwQFBgcICQoLDA0ODw"


def test_a_cluster_id_is_never_mistaken_for_an_option() -> None:
    assert kafka_config.cluster_id(b"\xf8" + bytes(15)) == "AAAAAAAAAAAAAAAAAAAAAA"


def test_the_cluster_id_of_kept_data_is_read_back() -> None:
    stored = "#\n#Sat Nov 21 11:51:14 UTC 2026\nnode.id=1\nversion=1\ncluster.id=dYAjXnz5SLq1V6gnE9jimA\n"

    assert kafka_config.stored_cluster_id(stored) == "dYAjXnz5SLq1V6gnE9jimA"
    assert kafka_config.stored_cluster_id("node.id=1\n") == ""


@pytest.mark.parametrize(
    ("banner", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15\nOpenJDK Runtime Environment', 17),
        ('openjdk version "25" 2025-09-16 LTS', 25),
        ('java version "1.8.0_402"', 8),
        ('Picked up JAVA_TOOL_OPTIONS: -Dx=1\nopenjdk version "21.0.2" 2024-01-16', 21),
        ("Unable to locate a Java Runtime.", 0),
        ("", 0),
    ],
)
def test_javas_release_is_read_from_its_banner(banner: str, version: int) -> None:
    assert kafka_config.java_version(banner) == version
