"""Dead letters of a real consumer on a real log: halted, looked at, resumed, and sent again."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from services.cli.__main__ import main
from services.cli.exits import Exit
from services.cli.publication import publish
from shared.adapters.kafka import KafkaWriter
from shared.events.block import SRC_OFFSET, decode
from shared.log import Outgoing
from shared.settings import Settings
from tests.kit.installation import Installation
from tests.kit.pipeline import monitored, prediction, publications
from tests.kit.probing import Probed
from tests.kit.service import service
from tests.kit.waiting import until

GARBAGE = 300


def test_a_halted_input_is_looked_at_resumed_and_replayed(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    topic = settings.topics.predictions
    here = Installation(settings, publications(monitored(loan={})))
    late = msgspec.json.encode(prediction(model="house"))
    writer = KafkaWriter(settings.kafka, "test")
    for event in [late, *[b"garbage"] * GARBAGE, msgspec.json.encode(prediction(request_id="after"))]:
        writer.send(Outgoing(topic, event, partition=1))
    writer.flush()
    with service("prediction_consumer", settings, tmp_path) as process:
        (line, *_) = until(lambda: [line for line in process.lines() if line["event"] == "serving_health"], bool)
        assert isinstance(line["port"], int)
        health = Probed(line["port"])
        halted = until(health.ready, lambda answer: answer.state == "halted")
        writer.send(Outgoing(topic, msgspec.json.encode(prediction(request_id="other")), partition=0))
        writer.flush()
        until(health.samples, lambda shown: shown["rows_out_total"] == {(): 1})
        codes = [main(["dead-letters", "resume", f"{topic}/1", "--json", "--actor", "ada"])]
        until(health.ready, lambda answer: answer.ok)
        until(health.samples, lambda shown: shown["rows_out_total"] == {(): 2})
    for publication in publications(monitored(house={})):
        publish(writer, settings.topics, publication)
    writer.close()
    codes += [
        main(["dead-letters", "list", "--json"]),
        main(["dead-letters", "show", f"{topic}/1/1", "--payload", "--json"]),
        main(["dead-letters", "replay", "--reason", "json", "--json"]),
        main(["dead-letters", "replay", "--model", "house", "--yes", "--json", "--actor", "bob"]),
        main(["dead-letters", "show", f"{topic}/0/0"]),
        main(["audit", "--json"]),
    ]
    resumed, listed, shown, refused, sent, audited = [json.loads(text) for text in capsys.readouterr().out.splitlines()]

    assert f"{topic}/1 is not read from offset 200 on: 200 dead letters in a row" in halted.reason
    assert codes == [Exit.OK, Exit.OK, Exit.OK, Exit.FAILURE, Exit.OK, Exit.FAILURE, Exit.OK]
    assert resumed == [{"log": f"{topic}/1", "below": GARBAGE + 2}]
    assert [(group["by"]["reason"], group["count"]) for group in listed] == [("json", GARBAGE), ("unknown_model", 1)]
    assert (shown["record"], shown["payload"]) == ("kept", "garbage")
    assert refused["fates"] == [{"fate": "json", "count": GARBAGE, "example": f"{topic}/1/{GARBAGE}"}]
    assert sent == {"sent": True, "fates": [{"fate": "row", "count": 1, "example": f"{topic}/1/0"}]}
    assert [(entry["what"], entry["model"], entry["who"], entry["text"]) for entry in audited if entry["who"]] == [
        ("act.resume", "", "ada", f"resumed the input {topic}/1 below {GARBAGE + 2}"),
        ("act.replay", "house", "bob", "sent dead letters again: 1, model house"),
    ]
    blocks = [decode(record) for record in here.records(settings.topics.halves)]
    (house,) = [block.batch for block in blocks if block.model == "house"]
    assert house is not None
    assert house.column(SRC_OFFSET).to_pylist() == [0]
    here.close()
