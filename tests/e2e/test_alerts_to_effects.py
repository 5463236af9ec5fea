from __future__ import annotations

import signal
from pathlib import Path

import msgspec
from confluent_kafka.admin import AdminClient

from shared.adapters.kafka import KafkaAdmin, KafkaReader, KafkaWriter
from shared.events.alert import IncidentEvent
from shared.events.retraining import Retraining, RetrainingEvent
from shared.identity import model_partition
from shared.log import Record, TopicPartition
from shared.settings import Settings
from tests.kit.alerts import MODEL, culprit, incident, incident_bytes, on_alerts
from tests.kit.receiver import Answer, receiving
from tests.kit.service import service
from tests.kit.waiting import PATIENCE_SECONDS, until

OPENED, RESOLVED = IncidentEvent.OPENED, IncidentEvent.RESOLVED


def configured(settings: Settings, folder: Path, url: str) -> Settings:
    """Return settings whose topics exist and whose configuration asks `url` to retrain."""
    KafkaAdmin(settings.kafka).create(settings.topics.specs())
    config = folder / "driftline.yaml"
    config.write_text(
        f"""
models:
  car_loan:
    task: binary
    positive_class: 1
    reference: reference.csv
    retrain: {{when: on_drift, cool_down: 1d, action: {{webhook: {{url: "{url}", secret: hunter2}}}}}}
notify: [{{to: log}}]
"""
    )
    return msgspec.structs.replace(settings, config=str(config))


def write_alerts(settings: Settings, *values: bytes) -> None:
    writer = KafkaWriter(settings.kafka, "test")
    for value in values:
        writer.send(on_alerts(settings.topics, value))
    writer.close()


def opened(name: str) -> bytes:
    return incident_bytes(OPENED, incident(incident_id=name, culprits=[culprit()]))


class Log:
    """A topic as it grows."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._reader = KafkaReader(settings.kafka, "test")
        self._reader.assign({TopicPartition(topic, n): 0 for n in range(self._reader.partitions(topic))})
        self._records: list[Record] = []

    def records(self) -> list[Record]:
        self._records += self._reader.poll(100, 0.2)
        return self._records

    def close(self) -> None:
        self._reader.close()


def entries(log: Log) -> list[Retraining]:
    return [
        msgspec.json.decode(record.value, type=RetrainingEvent).data
        for record in log.records()
        if record.value is not None
    ]


def test_an_alert_becomes_one_request_however_often_the_service_dies(settings: Settings, tmp_path: Path) -> None:
    with receiving(lambda _: Answer(202, {}, b'{"run_url": "https://ci/run/1"}')) as receiver:
        mine = configured(settings, tmp_path, receiver.url())
        write_alerts(mine, opened("i1"), b"not an alert", opened("i2"))
        ledger = Log(mine, mine.topics.retraining)

        for place in ("after_decision", "after_send"):
            dying = msgspec.structs.replace(mine, fail=f"retrain_trigger.{place}:exit@1")
            with service("retrain_trigger", dying, tmp_path) as process:
                assert process.wait() == -signal.SIGKILL
            requested = until(lambda: entries(ledger), bool)[0]
            assert (requested.incident_id, requested.state) == ("i1", "requested")

        with service("retrain_trigger", mine, tmp_path) as process:
            until(lambda: entries(ledger), lambda found: "accepted" in [entry.state for entry in found])
            assert process.stop() == 0
        with service("retrain_trigger", mine, tmp_path) as process:
            write_alerts(mine, opened("i3"))
            found = until(lambda: entries(ledger), lambda found: "i3" in [entry.incident_id for entry in found])
            assert process.stop() == 0
            said = process.log.read_text()
        ledger.close()

    assert [
        (entry.incident_id, entry.state, entry.reason) for entry in sorted(found, key=lambda e: e.alerts_offset)
    ] == [
        ("i1", "requested", None),
        ("i1", "accepted", None),
        ("i2", "held", "cooling_down"),
        ("i3", "held", "cooling_down"),
    ]
    assert {got.headers["idempotency-key"] for got in receiver.got} == {requested.effect_id}
    assert "hunter2" not in said


def test_the_notifier_tells_people_and_goes_on_after_what_is_no_alert(settings: Settings, tmp_path: Path) -> None:
    mine = configured(settings, tmp_path, "http://127.0.0.1:1/")
    write_alerts(mine, b"not an alert")
    letters = Log(mine, mine.topics.dead_letters)

    with service("notifier", mine, tmp_path) as process:
        (letter,) = until(letters.records, bool)
        write_alerts(mine, opened("i1"), incident_bytes(RESOLVED, incident()))
        told = until(lambda: [line for line in process.lines() if "alert" in line], lambda lines: len(lines) == 2)
        assert process.stop() == 0

    assert [(line["level"], line["service"], line["alert"]) for line in told] == [
        ("warning", "notifier", "i1.opened"),
        ("info", "notifier", "i1.resolved"),
    ]
    assert str(told[0]["event"]).startswith("[warning] car_loan v3: data drift opened; income: psi 0.31 (noise floor")
    assert letter.key == f"{mine.topics.alerts}/{model_partition(MODEL, 2)}/0".encode()
    letters.close()


def test_a_configuration_that_is_wrong_ends_the_service_with_its_path(settings: Settings, tmp_path: Path) -> None:
    config = tmp_path / "driftline.yaml"
    config.write_text("models: {m: {task: regression, reference: r.csv, retrain: {when: sometimes}}}")

    with service("retrain_trigger", msgspec.structs.replace(settings, config=str(config)), tmp_path) as process:
        assert process.wait() == 78
        assert "models.m.retrain" in str(process.lines()[-1]["error"])


def test_faust_creates_no_topics_and_a_failing_stage_commits_nothing(settings: Settings, tmp_path: Path) -> None:
    mine = configured(settings, tmp_path, "http://127.0.0.1:1/")
    KafkaAdmin(settings.kafka).create(settings.topics.specs())
    admin = AdminClient({"bootstrap.servers": settings.bootstrap})
    admin.delete_topics([mine.topics.dead_letters])[mine.topics.dead_letters].result(PATIENCE_SECONDS)
    write_alerts(mine, b"this needs the dead letters")

    with service("notifier", mine, tmp_path) as process:
        assert process.wait() != 0
    KafkaAdmin(settings.kafka).create(settings.topics.specs())
    with service("notifier", mine, tmp_path) as process:
        letters = Log(mine, mine.topics.dead_letters)
        until(letters.records, bool)
        assert process.stop() == 0
    letters.close()

    named = {name for name in admin.list_topics(timeout=PATIENCE_SECONDS).topics if settings.installation in name}
    assert named == {spec.name for spec in settings.topics.specs()}
