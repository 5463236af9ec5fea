"""`docker-compose.yaml`: that Compose accepts it, and that it says what the rest of the project says.

`compose-spec.json` is the schema of the Compose Specification (Apache-2.0), as compose-go 2.16.2 has it.
"""

from __future__ import annotations

import json
import tomllib
from typing import Any

import jsonschema
import pytest
import typer

from services.cli.app import application
from services.devstack.jars import kafka_version, locked_jars
from services.devstack.redis_config import is_new_enough
from shared.monitors import read_monitors
from shared.services import SERVICES
from shared.settings import Settings, read_settings
from tests.kit.compose import COMPOSE, Container, compose, containers
from tests.kit.repository import ROOT

CONTAINERS = {container.name: container for container in containers()}
EVERY_CONTAINER = pytest.mark.parametrize("container", CONTAINERS.values(), ids=CONTAINERS)
EVERY_SERVICE = pytest.mark.parametrize("name", SERVICES)


def parsed(words: list[str]) -> dict[str, Any]:
    """Return the command line's parameters after it has accepted these words."""
    command: Any = typer.main.get_command(application())
    while hasattr(command, "commands"):
        command, words = command.commands[words[0]], words[1:]
    found: dict[str, Any] = command.make_context("driftline", list(words)).params
    return found


def test_the_file_is_what_the_compose_specification_allows() -> None:
    schema = json.loads((ROOT / "tests" / "deploy" / "compose-spec.json").read_bytes())

    jsonschema.Draft202012Validator(schema).validate(compose())

    assert "version" not in compose()


def test_one_image_of_this_release_is_all_of_driftline() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    images = {service["image"] for service in compose()["services"].values()}

    assert {image for image in images if image.startswith("driftline")} == {f"driftline:{project['version']}"}


def test_every_service_has_a_container_of_its_name() -> None:
    assert [container.name for container in CONTAINERS.values() if not container.is_step] == list(SERVICES)


@EVERY_CONTAINER
def test_a_container_runs_a_command_that_exists(container: Container) -> None:
    assert parsed(container.command)


@EVERY_CONTAINER
def test_a_container_sets_only_what_the_settings_know(container: Container) -> None:
    settings = read_settings(container.environment)

    assert settings.topics == Settings().topics
    assert settings.bootstrap == "kafka:19092"
    assert settings.redis_url == "redis://redis:6379/0"


@EVERY_CONTAINER
def test_a_containers_files_are_there_and_are_a_valid_configuration(container: Container) -> None:
    config = read_settings(container.environment).config
    files = {str(inside): outside for inside, outside in container.files.items()}

    monitors = read_monitors(files[config])

    references = {f"/etc/driftline/{model.reference}" for model in monitors.models.values()}
    assert references <= files.keys()
    assert [outside for outside in files.values() if not outside.is_file()] == []


@EVERY_CONTAINER
def test_a_container_waits_for_what_it_needs_and_for_nothing_that_never_holds(container: Container) -> None:
    services = compose()["services"]
    for other, condition in container.after.items():
        is_step = other in CONTAINERS and CONTAINERS[other].is_step
        assert condition == ("service_completed_successfully" if is_step else "service_healthy")
        assert is_step or services[other]["healthcheck"]["test"]


@EVERY_CONTAINER
def test_a_container_can_write_to_nothing_but_its_tmp(container: Container) -> None:
    service = compose()["services"][container.name]

    assert (service["read_only"], service["tmpfs"]) == (True, ["/tmp:size=64m"])  # noqa: S108 - the container's own
    assert (service["cap_drop"], service["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert "privileged" not in service


@EVERY_SERVICE
def test_a_service_is_run_asked_and_published_by_its_own_name_and_port(name: str) -> None:
    container, port = CONTAINERS[name], Settings().health_port_of(name)

    assert container.command == ["services", "run", name]
    assert container.healthcheck == ["CMD", "driftline", "health", name]
    assert container.ports == [f"127.0.0.1:{port}:{port}"]


@EVERY_SERVICE
def test_a_service_that_ends_is_started_again(name: str) -> None:
    assert compose()["services"][name]["restart"] == "unless-stopped"


def test_kafka_is_the_one_that_the_tests_run_on() -> None:
    kafka = compose()["services"]["kafka"]

    assert kafka["image"] == f"apache/kafka:{kafka_version(locked_jars())}"
    assert kafka["environment"]["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert "CONTAINERS://kafka:19092" in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"HOST://{Settings().bootstrap}" in kafka["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_redis_keeps_state_and_evicts_nothing() -> None:
    redis = compose()["services"]["redis"]
    options = dict(zip(redis["command"][1::2], redis["command"][2::2], strict=True))

    assert is_new_enough(redis["image"].partition(":")[2])
    assert (options["--appendonly"], options["--maxmemory-policy"]) == ("yes", "noeviction")
    assert redis["volumes"] == ["redis:/data"]


def test_every_volume_is_declared() -> None:
    named = {
        volume.partition(":")[0]
        for service in compose()["services"].values()
        for volume in service["volumes"]
        if not volume.startswith(".")
    }

    assert named == set(compose()["volumes"])


def test_the_only_key_in_the_file_says_that_it_is_for_trying() -> None:
    assert "DRIFTLINE_ID_KEY: ${DRIFTLINE_ID_KEY:-for-trying-only}" in COMPOSE.read_text(encoding="utf-8")
