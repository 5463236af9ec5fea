"""The notifier as a process on real Kafka and Redis, with receivers that fail, hang, and come back."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import msgspec

from services.devstack.adapters.stack import RunningStack
from services.notifier.adapters.redis_books import RedisBooks
from services.notifier.books import Outcome
from shared.adapters.kafka import KafkaAdmin, KafkaWriter
from shared.events.alert import IncidentEvent, Severity
from shared.events.notice import IncidentNotice
from shared.settings import Settings
from tests.kit.alerts import culprit, heartbeat_bytes, incident, incident_bytes, on_alerts
from tests.kit.receiver import Answer, Got, Receiver, receiving
from tests.kit.service import service
from tests.kit.waiting import until

OPENED, ESCALATED, RESOLVED = IncidentEvent.OPENED, IncidentEvent.ESCALATED, IncidentEvent.RESOLVED


def configured(settings: Settings, folder: Path, *urls: str) -> Settings:
    """Return settings whose topics exist, and whose configuration tells each of these receivers of everything."""
    KafkaAdmin(settings.kafka).create(settings.topics.specs())
    channels = {f"c{number}": {"webhook": {"url": url, "secret": "hunter2"}} for number, url in enumerate(urls)}
    config = folder / "driftline.yaml"
    config.write_bytes(
        msgspec.yaml.encode(
            {
                "models": {"car_loan": {"task": "regression", "reference": "reference.csv"}},
                "notify": [{"to": ["log", *channels]}],
                "channels": channels,
            }
        )
    )
    write(settings, heartbeat_bytes())
    return msgspec.structs.replace(settings, config=str(config))


def write(settings: Settings, *values: bytes) -> None:
    writer = KafkaWriter(settings.kafka, "test")
    for value in values:
        writer.send(on_alerts(settings.topics, value))
    writer.close()


def says(name: str, event: IncidentEvent = OPENED) -> bytes:
    return incident_bytes(event, incident(incident_id=name, severity=Severity.CRITICAL, culprits=[culprit()]))


def told(receiver: Receiver, path: str) -> list[tuple[str, str]]:
    bodies = [msgspec.json.decode(got.body, type=IncidentNotice) for got in receiver.got if got.path == path]
    return [(body.incident_id, body.event.value) for body in bodies]


def outcomes(settings: Settings) -> Sequence[Outcome]:
    books = RedisBooks(settings.redis, installation=settings.installation)
    try:
        return [o for number in range(settings.alerts_partitions) for o in books.outcomes(number)]
    finally:
        books.close()


def test_a_receiver_that_fails_twice_gets_each_notice_and_one_that_hangs_delays_nobody(
    settings: Settings, tmp_path: Path
) -> None:
    silent, failures = threading.Event(), iter([500, 500])

    def answer(got: Got) -> Answer:
        if got.path == "/silent":
            silent.wait()
        return Answer(next(failures, 200) if got.path == "/failing" else 200)

    with receiving(answer) as receiver:
        mine = configured(settings, tmp_path, *(receiver.url(path) for path in ("/failing", "/silent", "/prompt")))
        with service("notifier", mine, tmp_path) as process:
            until(process.lines, lambda lines: "began" in [line["event"] for line in lines])
            write(mine, says("i1"), says("i1", ESCALATED), says("i1", RESOLVED))
            until(lambda: told(receiver, "/prompt"), lambda found: len(found) == 3)
            until(lambda: told(receiver, "/failing"), lambda found: len(found) == 5)
            until(lambda: outcomes(mine), lambda found: [o.channel for o in found].count("c0") == 3)
            silent.set()
            assert process.stop() == 0
            said = process.log.read_text()

    assert told(receiver, "/prompt") == [("i1", "opened"), ("i1", "escalated"), ("i1", "resolved")]
    assert told(receiver, "/failing") == [("i1", "opened")] * 3 + [("i1", "escalated"), ("i1", "resolved")]
    assert len({got.headers["webhook-id"] for got in receiver.got if got.path == "/failing"}) == 3
    assert [(o.about, o.fate.value, o.attempts) for o in outcomes(mine) if o.channel == "c0"] == [
        ("i1", "delivered", 3),
        ("i1", "delivered", 1),
        ("i1", "delivered", 1),
    ]
    assert "hunter2" not in said


def test_a_notifier_killed_after_sending_sends_again_with_the_same_id(settings: Settings, tmp_path: Path) -> None:
    with receiving(lambda _: Answer(204)) as receiver:
        mine = configured(settings, tmp_path, receiver.url("/ops"))
        with service("notifier", mine, tmp_path) as process:
            until(process.lines, lambda lines: "began" in [line["event"] for line in lines])
            assert process.stop() == 0

        dying = msgspec.structs.replace(mine, fail="notifier.after_send:exit@2")  # the first is the log's
        with service("notifier", dying, tmp_path) as process:
            write(mine, says("i1"))
            assert process.wait() == -signal.SIGKILL
        with service("notifier", mine, tmp_path) as process:
            until(lambda: outcomes(mine), lambda found: len(found) == 2)
            assert process.stop() == 0

    assert told(receiver, "/ops") == [("i1", "opened")] * 2
    assert len({got.headers["webhook-id"] for got in receiver.got}) == 1
    assert {(o.channel, o.fate.value) for o in outcomes(mine)} == {("log", "delivered"), ("c0", "delivered")}


def test_a_redis_that_is_restarted_costs_no_notice_and_no_process(
    stack: RunningStack, settings: Settings, tmp_path: Path
) -> None:
    with receiving(lambda _: Answer(204)) as receiver:
        mine = configured(settings, tmp_path, receiver.url("/ops"))
        with service("notifier", mine, tmp_path) as process:
            until(process.lines, lambda lines: "began" in [line["event"] for line in lines])
            stack.kill_redis()
            write(mine, says("i1"), says("i2"))
            until(process.lines, lambda lines: "waiting" in [line["event"] for line in lines])
            stack.start_redis()
            until(lambda: told(receiver, "/ops"), lambda found: len(found) == 2)
            assert process.stop() == 0

    # Two incidents are sent beside one another: which comes first is not promised.
    assert sorted(told(receiver, "/ops")) == [("i1", "opened"), ("i2", "opened")]
