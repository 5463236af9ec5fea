"""`driftline health` against what services really serve."""

from __future__ import annotations

import json
from collections.abc import Iterator

import msgspec
import pytest

from services.cli.__main__ import main
from services.cli.exits import Exit
from services.devstack.adapters.ports import free_port
from shared.adapters.health import serving_health
from shared.adapters.memory import ManualClock
from shared.errors import Unavailable
from shared.progress import Progress
from shared.services import SERVICES
from shared.settings import Settings

FIRST, SECOND, *_ = SERVICES


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Say, as an image does, that services listen everywhere; the second service's port is free, the first's is not."""
    found = Settings(health_host="0.0.0.0", health_port=free_port(0, 0))  # noqa: S104 - what is tested
    for name, value in found.environment().items():
        monkeypatch.setenv(name, value)
    return found


@pytest.fixture
def progress(settings: Settings) -> Iterator[Progress]:
    """Serve the first service's health while a test runs."""
    found = Progress(ManualClock())
    here = msgspec.structs.replace(settings, health_host="127.0.0.1")
    with serving_health(FIRST, here, found):
        yield found


def test_a_service_at_work_is_healthy(progress: Progress, capsys: pytest.CaptureFixture[str]) -> None:
    progress.turned()

    assert main(["health", FIRST]) == Exit.OK
    assert capsys.readouterr().out == f"{FIRST}  running for 0 s\n"


def test_a_service_that_waits_is_worth_keeping_but_not_at_work(
    progress: Progress, capsys: pytest.CaptureFixture[str]
) -> None:
    progress.turned()
    progress.waits(Unavailable("Redis is away"))

    assert main(["health", FIRST]) == Exit.FAILURE
    assert main(["health", FIRST, "--live", "--json"]) == Exit.OK
    ready, live = capsys.readouterr().out.splitlines()
    assert ready == f"{FIRST}  waiting for 0 s: Redis is away"
    assert json.loads(live)[FIRST] == {"ok": True, "state": "waiting", "reason": "Redis is away", "seconds": 0.0}


def test_one_service_without_an_answer_makes_all_of_them_unhealthy(
    progress: Progress, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    progress.turned()

    assert main(["health", FIRST, SECOND]) == Exit.FAILURE
    where = f"127.0.0.1:{settings.health_port_of(SECOND)}"
    assert capsys.readouterr().out.splitlines()[1].split("  ")[-1] == f"no answer at {where}"


def test_where_ports_are_left_to_chance_nobody_can_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_HEALTH_PORT", "0")

    assert main(["health"]) == Exit.CONFIGURATION


def test_an_unknown_service_is_a_mistake_of_usage() -> None:
    assert main(["health", "nobody"]) == Exit.USAGE
