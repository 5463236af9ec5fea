"""Health of real processes: what probes and Prometheus are told while things start, work, wait and end."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest

from services.devstack.adapters.stack import RunningStack
from shared.adapters.kafka import KafkaAdmin, KafkaWriter
from shared.events.block import Block, BlockKind, encode
from shared.log import Outgoing
from shared.services import SERVICES
from shared.settings import Settings
from tests.kit.installation import Event, Installation
from tests.kit.pipeline import label, monitored, prediction, publications
from tests.kit.probing import complaints, probed
from tests.kit.service import service
from tests.kit.waiting import until

CONFIGURATION = """
models: {loan: {task: binary, positive_class: 1, reference: reference.csv}}
notify: [{to: log}]
"""


def test_every_service_says_that_it_lives_that_it_works_and_what_it_counts(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "driftline.yaml").write_text(CONFIGURATION)
    mine = msgspec.structs.replace(settings, config=str(tmp_path / "driftline.yaml"))
    here = Installation(mine, publications(monitored(loan={})))
    with ExitStack() as undo:
        undo.callback(here.close)
        running = {name: undo.enter_context(probed(name, mine, tmp_path)) for name in SERVICES}
        here.produce(
            [
                Event(mine.topics.predictions, "r1", msgspec.json.encode(prediction(request_id="r1"))),
                Event(mine.topics.ground_truth, "r1", msgspec.json.encode(label(request_id="r1"))),
                Event(mine.topics.predictions, None, b"garbage"),
            ]
        )
        for _, health in running.values():
            assert health.live()
            until(health.ready, lambda answer: answer.ok)
        joiner, detector = running["joiner"][1], running["detector"][1]
        until(joiner.samples, lambda shown: shown["joiner_rows_total"].get(("labels_joined", "loan")) == 1)
        until(detector.samples, lambda shown: shown["detector_labelled_rows_total"].get(("loan", "v1")) == 1)
        ingested = until(
            running["prediction_consumer"][1].samples, lambda shown: sum(shown["ingest_commits_total"].values()) > 0
        )
        shown = {name: health.metrics() for name, (_, health) in running.items()}
        assert [process.stop() for process, _ in running.values()] == [0] * len(SERVICES)

    assert {name: complaints(text) for name, text in shown.items()} == dict.fromkeys(SERVICES, "")
    assert ingested["dead_letters_total"]["json",] == 1
    assert ingested["ingest_events_total"]["rows", "loan"] == 1
    assert sum(ingested["lag_records"].values()) == 0


def test_a_joiner_without_redis_is_live_and_not_ready_until_it_is_back(
    settings: Settings, stack: RunningStack, tmp_path: Path
) -> None:
    KafkaAdmin(settings.kafka).create(settings.topics.specs())
    writer = KafkaWriter(settings.kafka, "test")
    value, headers = encode(Block(BlockKind.TICK))

    def tick() -> None:
        writer.send(Outgoing(settings.topics.halves, value, partition=0, headers=headers))
        writer.flush()

    with probed("joiner", settings, tmp_path) as (process, health):
        until(health.ready, lambda answer: answer.ok)
        stack.kill_redis()
        try:
            tick()
            waiting = until(health.ready, lambda answer: not answer.ok)
            assert health.live()
            errors = until(health.samples, lambda shown: shown["step_errors_total"]["unavailable",] > 0)
        finally:
            stack.start_redis()
        again = until(health.ready, lambda answer: answer.ok)
        assert process.stop() == 0
    writer.close()

    assert (waiting.state, waiting.reason.startswith("Redis: ")) == ("waiting", True)
    assert errors["ready"] == {(): 0}
    assert again.state == "running"


@pytest.mark.usefixtures("stack")
def test_a_port_that_is_taken_refuses_to_start_and_says_which(settings: Settings, tmp_path: Path) -> None:
    KafkaAdmin(settings.kafka).create(settings.topics.specs())
    with probed("joiner", settings, tmp_path) as (first, _):
        (line, *_) = [line for line in first.lines() if line["event"] == "serving_health"]
        assert isinstance(line["port"], int)
        taken = msgspec.structs.replace(settings, health_port=line["port"] - SERVICES.index("detector"))
        with service("detector", taken, tmp_path) as second:
            assert second.wait() == 78
            told = second.lines()[-1]

    assert told["reason"] == "ConfigurationError"
    assert str(told["error"]).startswith(f"DRIFTLINE_HEALTH_PORT: port {line['port']} of 127.0.0.1: ")
