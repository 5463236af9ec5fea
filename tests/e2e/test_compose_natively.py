"""`docker compose up` without Docker: the processes that the file describes join a prediction with its label.

The two events are those of the page that tells how to try it.
"""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from shared.adapters.kafka import KafkaWriter
from shared.log import Outgoing
from shared.settings import Settings
from tests.kit.compose import containers
from tests.kit.machine import Machine
from tests.kit.repository import ROOT
from tests.kit.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.long
EVENTS = re.findall(r'^\{"request_id".*$', (ROOT / "docs" / "install.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_the_containers_commands_join_a_prediction_with_its_label(settings: Settings, tmp_path: Path) -> None:
    machine = Machine(tmp_path, settings)
    steps = [container for container in containers() if container.is_step]
    services = [container for container in containers() if not container.is_step]
    for step in steps:
        done = machine.run(step)
        assert done.returncode == 0, done.stdout + done.stderr

    with ExitStack() as undo:
        processes = [undo.enter_context(machine.running(service)) for service in services]
        for service in services:
            until(partial(machine.is_healthy, service), bool)
        writer = KafkaWriter(settings.kafka, "test")
        for topic, event in zip((settings.topics.predictions, settings.topics.ground_truth), EVENTS, strict=True):
            writer.send(Outgoing(topic, event.encode()))
        writer.close()

        def seen() -> list[str]:
            told = machine.run(services[0], "tail", "observations", "--request-id", "r-1")
            return sorted(json.loads(line)["kind"] for line in told.stdout.splitlines())

        assert until(seen, lambda kinds: "labelled" in kinds) == ["labelled", "served"]

        for process in processes:
            process.terminate()
        assert [process.wait(PATIENCE_SECONDS) for process in processes] == [0] * len(services)
    assert [machine.is_healthy(service) for service in services] == [False] * len(services)
