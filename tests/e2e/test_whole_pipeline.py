"""Real processes on real Kafka and Redis: what they leave behind is what one thread makes of the same logs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import msgspec
import pytest

from services.cli.adapters.verification import verified
from services.cli.backtest.lines import Line, merged
from services.cli.backtest.run import run
from services.cli.demo.order import request_id
from services.cli.exits import Exit
from services.cli.publication import Publication
from services.cli.verify.report import Check, Outcome, Report
from services.detector.checkpoints import Checkpoint
from services.joiner.meta import summary
from shared.adapters.kafka import KafkaWriter
from shared.events.alert import AlertEnvelope, IncidentEvent
from shared.events.block import BlockKind, Chain, decode, encode
from shared.events.dead_letter import DeadLetter
from shared.identity import IdKey
from shared.log import Outgoing, Record
from shared.settings import Settings
from tests.kit.backtests import incidents, publication
from tests.kit.installation import Event, Installation
from tests.kit.observations import accepted, copies, rows
from tests.kit.pipeline import label, monitored, prediction, publications
from tests.kit.service import Service, environment, service
from tests.kit.shipped import SETS
from tests.kit.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.long
MODEL = "car_loan"
AROUND_THE_DRIFT = slice(22_000, 28_000)


@cache
def lines() -> tuple[Line, ...]:
    """Return the predictions around the drift and all their labels, in the order of their time."""
    whole = merged(SETS / MODEL / "predictions.jsonl.zst", SETS / MODEL / "ground_truth.jsonl.zst")
    predictions = [line for line in whole if not line.is_label][AROUND_THE_DRIFT]
    requests = {request_id(line.value) for line in predictions}
    labels = [line for line in whole if line.is_label and request_id(line.value) in requests]
    return tuple(sorted([*predictions, *labels], key=lambda line: line[:3]))


@contextmanager
def installation(settings: Settings, published: Sequence[Publication]) -> Iterator[Installation]:
    found = Installation(settings, published)
    try:
        yield found
    finally:
        found.close()


def await_death(process: Service, place: str) -> None:
    assert process.wait() == -signal.SIGKILL
    assert f"failpoint {place}: killed\n" in process.log.read_text()


def found_incidents(alerts: Sequence[Record]) -> set[tuple[str, str, tuple[str, ...]]]:
    """Return model, kind and culprits of each incident."""
    last = {data.incident_id: data for _, data in incidents(tuple(alerts))}
    return {
        (data.model, data.kind.value, tuple(sorted(culprit.feature for culprit in data.culprits)))
        for data in last.values()
    }


def test_services_that_are_killed_leave_what_one_thread_would_have(settings: Settings, tmp_path: Path) -> None:
    # One input partition, so that predictions are served in the order of the world; everything else as in production.
    mine = msgspec.structs.replace(settings, input_partitions=1, heartbeat="1s")
    dying_joiner = msgspec.structs.replace(mine, fail="joiner.before_cas:exit@3")
    dying_detector = msgspec.structs.replace(mine, fail="detector.before_checkpoint:exit@2")
    published = [publication(MODEL)]

    with (
        installation(mine, published) as here,
        service("prediction_consumer", mine, tmp_path) as prediction_consumer,
        service("ground_truth_consumer", mine, tmp_path) as ground_truth_consumer,
        service("joiner", dying_joiner, tmp_path) as first_joiner,
        service("detector", dying_detector, tmp_path) as first_detector,
    ):
        producer = here.replaying(MODEL, lines())
        await_death(first_joiner, "joiner.before_cas")
        with service("joiner", mine, tmp_path) as joiner:
            await_death(first_detector, "detector.before_checkpoint")
            at_its_death = here.checkpoints()
            with service("detector", mine, tmp_path) as detector:
                until(lambda: producer.is_done, bool)
                here.wait_for("prediction_consumer", "ground_truth_consumer")
                assert (prediction_consumer.stop(), ground_truth_consumer.stop()) == (0, 0)
                here.wait_for("joiner")
                assert joiner.stop() == 0
                here.wait_for("detector")
                assert detector.stop() == 0
        halves, observations = here.records(here.topics.halves), here.records(here.topics.observations)
        alerts = here.records(here.topics.alerts)
        view, checkpoints = here.view(), here.checkpoints()
        letters = here.records(here.topics.dead_letters)
        report = verified(mine)
        begun = driftline(mine, "verify", "--from", "checkpoint", "--json")
        told = driftline(mine, "verify", "alert", next(iter(found_ids(alerts))), "--json")
        tampered = [*tamper(here)]
        found = driftline(mine, "verify", "--json")

    check_join(mine, halves, observations, {shard: kept.meta for shard, kept in view.items()})
    check_report(report, halves, observations, alerts, checkpoints)
    assert begun.returncode == Exit.OK, begun.stderr
    starts = {
        proof["log"]: proof["start"] for proof in json.loads(begun.stdout)["proofs"] if proof["check"] == "alerts"
    }
    assert {log: starts[log] for log in starts if "observations" in log} == {
        f"{mine.topics.observations}-{number}": checkpoints[number].position if number in checkpoints else 0
        for number in range(mine.observations_partitions)
    }
    assert (told.returncode, json.loads(told.stdout)["outcome"]) in ((Exit.OK, "clean"), (Exit.UNDECIDED, "undecided"))
    assert found.returncode == Exit.FAILURE, found.stderr
    differences = [d for proof in json.loads(found.stdout)["proofs"] for d in proof["differences"]]
    assert [(d["at"], d["text"]) for d in differences] == tampered

    backtest = run(
        published, lines(), id_key=mine.id_key, code_version="test", report_rows=None, progress=lambda _: None
    )
    assert found_incidents(alerts) == found_incidents(backtest.alerts) != set()

    # Both deaths came amid the work: outputs were written twice, and what was folded last had no checkpoint yet.
    assert copies(observations) > 0
    assert sum(found.position for found in at_its_death.values()) < sum(
        found.position for found in checkpoints.values()
    )
    assert letters == []


def found_ids(alerts: Sequence[Record]) -> list[str]:
    """Return the ids of alerts of incidents."""
    envelopes = (msgspec.json.decode(record.value or b"", type=AlertEnvelope) for record in alerts)
    return [alert.id for alert in envelopes if alert.type is not IncidentEvent.HEARTBEAT]


def tamper(here: Installation) -> Iterator[tuple[str, str]]:
    """Forge an observation and an alert, and change an entry and a checkpoint; yield what is to be told of each."""
    topics, writer = here.topics, KafkaWriter(here.settings.kafka, "test")
    blocks = [(record, decode(record)) for record in here.records(topics.observations)]
    chains = {block.chain.shard for _, block in blocks if block.chain and block.rows}
    (shard,) = chains  # the model's
    source, block = next((r, b) for r, b in reversed(blocks) if b.rows)
    seq = max(b.chain.seq for r, b in blocks if b.chain and b.chain.shard == shard and r.partition == source.partition)
    value, headers = encode(block.chained(Chain(shard, seq + 1, seq)))
    (alert, *_) = (record for record in here.records(topics.alerts) if b"incident" in (record.value or b""))
    forged = {**json.loads(alert.value or b""), "id": "f" * 32}
    places = []
    for message in (
        Outgoing(topics.observations, value, partition=source.partition, headers=headers),
        Outgoing(topics.alerts, msgspec.json.encode(forged), partition=alert.partition),
    ):
        writer.send(message, lambda partition, offset: places.append(f"{partition}@{offset}"))
        writer.flush()
    writer.close()
    identity, position = here.change_entry(shard)

    yield f"{topics.observations}-{places[0]}", "follows from no record of the halves"
    yield f"view {shard} at {position}", f"the entry of {identity.hex()} says otherwise"
    yield f"{topics.alerts}-{places[1]}", f"{'f' * 32} of {MODEL} follows from no observation"


def total_position(checkpoints: dict[int, Checkpoint]) -> int:
    return sum(checkpoint.position for checkpoint in checkpoints.values())


def check_report(
    report: Report,
    halves: Sequence[Record],
    observations: Sequence[Record],
    alerts: Sequence[Record],
    checkpoints: dict[int, Checkpoint],
) -> None:
    """Nothing differs, and everything there is was compared."""

    def counted(check: Check, what: str) -> int:
        return sum(proof.counts.get(what, 0) for proof in report.proofs if proof.check is check)

    assert [difference for proof in report.proofs for difference in proof.differences] == []
    assert [why for proof in report.proofs for why in proof.not_covered] == [
        "retrain_trigger has committed nothing: whether each alert is answered"
    ]
    assert counted(Check.INPUTS, "rows") == 12_000
    assert report.outcome is Outcome.CLEAN
    ids = {msgspec.json.decode(record.value or b"", type=AlertEnvelope).id for record in alerts}
    assert counted(Check.OBSERVATIONS, "records") == len(halves)
    assert counted(Check.OBSERVATIONS, "outputs") == len(accepted(observations))
    assert counted(Check.JOINS, "joined") == 6_000
    assert counted(Check.VIEW, "live entries") == 6_000
    assert counted(Check.ALERTS, "alerts") == len(ids)
    assert counted(Check.LOGGED_CHECKPOINT, "bytes") >= counted(Check.CHECKPOINT, "bytes")
    assert counted(Check.CHECKPOINT, "bytes") == sum(len(checkpoint.state) for checkpoint in checkpoints.values())


def check_join(
    settings: Settings, halves: Sequence[Record], observations: Sequence[Record], metas: dict[int, bytes]
) -> None:
    """Every event is in the observations once."""
    blocks = accepted(observations)
    key = IdKey(settings.id_key.encode())
    for kind, is_label in ((BlockKind.SERVED, False), (BlockKind.LABELLED, True)):
        wanted = [key.request(MODEL, request_id(line.value)) for line in lines() if line.is_label is is_label]
        assert len(wanted) == 6_000
        assert sorted(row["id"] for row in rows(blocks, kind)) == sorted(wanted)
    counted = [counters for meta in metas.values() for counters in summary(meta).values()]
    assert [(counters.served, counters.labels_joined) for counters in counted] == [(6_000, 6_000)]
    assert {record.topic for record in halves} == {settings.topics.halves}


BAD_PREDICTIONS = {
    b"hello": "json",
    b"": "empty",
    b"\xc3\x28": "utf8",
    b"[1]": "schema",
    b'{"request_id": NaN, "model": "loan"}': "json",
    msgspec.json.encode(prediction(model="house")): "unknown_model",
    msgspec.json.encode(prediction(features=[1])): "type",
    msgspec.json.encode(prediction(comment="x" * 1_000_000)): "size",
}
BAD_LABELS = {b"{": "json", msgspec.json.encode(label(label="maybe")): "label"}


def test_what_is_written_by_hand_ends_where_it_belongs(settings: Settings, tmp_path: Path) -> None:
    topics = settings.topics
    bad = [(topics.predictions, value, reason) for value, reason in BAD_PREDICTIONS.items()]
    bad += [(topics.ground_truth, value, reason) for value, reason in BAD_LABELS.items()]

    with (
        installation(settings, publications(monitored(loan={}))) as here,
        service("prediction_consumer", settings, tmp_path) as prediction_consumer,
        service("ground_truth_consumer", settings, tmp_path) as ground_truth_consumer,
        service("joiner", settings, tmp_path) as joiner,
    ):
        here.produce(Event(topic, None, value) for topic, value, _ in bad)
        here.produce(
            [
                Event(topics.predictions, "mine", msgspec.json.encode(prediction(request_id="mine"))),
                Event(topics.ground_truth, "mine", msgspec.json.encode(label(request_id="mine"))),
            ]
        )
        here.wait_for("prediction_consumer", "ground_truth_consumer")
        assert (prediction_consumer.stop(), ground_truth_consumer.stop()) == (0, 0)
        here.wait_for("joiner")
        assert joiner.stop() == 0
        written = {
            (record.topic, record.partition, record.offset): record.value
            for topic in (topics.predictions, topics.ground_truth)
            for record in here.records(topic)
        }
        letters = [
            msgspec.json.decode(record.value or b"", type=DeadLetter) for record in here.records(topics.dead_letters)
        ]
        told = tail(settings, "observations", "--request-id", "mine")
        refused = tail(settings, "dead-letters")

    at = [(letter.topic, letter.partition, letter.offset) for letter in letters]
    assert sorted((letter.topic, letter.reason) for letter in letters) == sorted((topic, r) for topic, _, r in bad)
    assert {(place[0], written[place]) for place in at} == {(topic, value) for topic, value, _ in bad}
    assert [(row["kind"], row["prediction"], row.get("label")) for row in told] == [
        ("served", "1", None),
        ("labelled", "1", "1"),
    ]
    assert [row["reason"] for row in refused] == [letter.reason for letter in letters]


def tail(settings: Settings, *arguments: str) -> list[dict[str, object]]:
    """Return what `driftline tail` prints."""
    ran = driftline(settings, "tail", *arguments)
    assert ran.returncode == 0, ran.stderr
    return [json.loads(line) for line in ran.stdout.splitlines()]


def driftline(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "services.cli", *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
