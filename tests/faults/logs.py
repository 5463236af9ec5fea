"""Logs that lose records behind the back of those who have read them, and a disk without room."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from services.cli.verify.report import Check
from shared.runtime import FINAL, ExitCode
from tests.faults.broker import ANSWER_SECONDS
from tests.faults.cluster import leader
from tests.faults.crashes import CONSUMERS
from tests.faults.fault import Fault
from tests.faults.load import predictions_for
from tests.faults.rig import Rig
from tests.faults.servers import LinkedKafka
from tests.kit.service import environment

EARLY = range(1_000_000, 1_001_000)  # requests that everyone has seen before something happens
UNCLEAN = {"unclean.leader.election.enable": "true", "min.insync.replicas": "1"}
INDEXES = (".index", ".timeindex", ".txnindex", ".snapshot")


def tail_cut_off(rig: Rig) -> None:
    """Do after it what the manual says: `driftline repair observations`, so that everything is written again.

    What is written again has another time, and so have the heartbeats that follow from it.
    """
    rig.start()
    rig.write()
    rig.settle()
    rig.crew.may_stop.add("detector")
    kafka = rig.servers.kafka
    before = records_of(rig, rig.topics.observations)
    kafka.kill()
    for folder in kafka.logs.glob(f"{rig.topics.observations}-*"):
        cut_in_half(folder)
    kafka.start(kafka.port)
    lost = before - records_of(rig, rig.topics.observations)
    detector = rig.crew.members["detector"]
    rig.until("the detector stops", lambda: detector.code is not None)
    rig.crew.may_stop.clear()
    repair(rig)
    rig.start("detector")
    rig.settle()
    rig.happened(records_lost=lost, stops=int(detector.code == ExitCode.LOG_IDENTITY))
    rig.saw(copies_dropped=rig.copies())


def unclean_election(rig: Rig) -> None:
    recreate(rig, rig.topics.halves, replicas=(0, 1), config=UNCLEAN)
    brokers = rig.servers.brokers[:2]
    rig.start()
    rig.write_events(predictions_for(rig.topics, EARLY))
    rig.settle()
    old = leader(rig)
    (other,) = (broker for broker in brokers if broker is not old)
    other.kill()
    rig.write(per_second=2_000)
    rig.await_joined(0.5)
    rig.crew.may_stop.add("joiner")
    old.kill()
    other.start(other.port)
    joiner_stops(rig)
    rig.saw(changes_of_leader=int(leader(rig) is other))
    old.start(old.port)
    consumed(rig)  # a producer whose records are gone starts over


def created_again(rig: Rig) -> None:
    rig.start()
    rig.write_events(predictions_for(rig.topics, EARLY))
    rig.settle()
    for name in (*CONSUMERS, "joiner"):
        rig.crew.retire(name)
    recreate(rig, rig.topics.halves)
    rig.start(*CONSUMERS)
    rig.write()
    consumed(rig)
    rig.crew.may_stop.add("joiner")
    rig.start("joiner")
    joiner_stops(rig)


def trimmed(rig: Rig) -> None:
    rig.start()
    rig.write_events(predictions_for(rig.topics, EARLY))
    rig.settle()
    rig.crew.retire("joiner")
    rig.write()
    consumed(rig)
    admin = AdminClient({"bootstrap.servers": rig.past_links.bootstrap})
    all_there_is = [TopicPartition(rig.topics.halves, number, -1) for number in range(rig.topics.halves_partitions)]
    for answer in admin.delete_records(all_there_is).values():
        answer.result(ANSWER_SECONDS)
    rig.crew.may_stop.add("joiner")
    rig.start("joiner")
    joiner_stops(rig)


def disk_full(rig: Rig) -> None:
    kafka = rig.servers.kafka
    with small_disk(kafka) as disk:
        rig.start()
        rig.write(per_second=2_000)
        rig.await_joined(0.3)
        ballast = disk / "ballast"
        with suppress(OSError), ballast.open("wb") as file:
            while True:
                file.write(bytes(1 << 16))
        rig.until("the broker has no room", lambda: kafka.pid is None)
        ballast.unlink()
        kafka.start(kafka.port)
        rig.settle()
        rig.happened(brokers_without_room=1)
        rig.saw(copies_dropped=rig.copies(), duplicates_in_halves=rig.duplicates_in_halves())
        rig.holds("nothing is dead-lettered", rig.letters() == 0)
        rig.crew.stop()


@contextmanager
def small_disk(kafka: LinkedKafka) -> Iterator[Path]:
    """Let the broker have its logs on a disk of their own, and then where they were."""
    disk, kept = kafka.logs, kafka.logs.with_name("kept")
    kafka.kill()
    disk.rename(kept)
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(disk)], check=True)
    try:
        copy(kept, disk)
        kafka.start(kafka.port)
        yield disk
        kafka.kill()
        shutil.rmtree(kept)
        kept.mkdir()
        copy(disk, kept)
    finally:
        kafka.kill()
        subprocess.run(["umount", str(disk)], check=True)
        disk.rmdir()
        kept.rename(disk)
        kafka.start(kafka.port)


def copy(folder: Path, into: Path) -> None:
    """Copy what a folder holds; indexes are mostly holes, and stay so."""
    subprocess.run(["cp", "-a", "--sparse=always", f"{folder}/.", str(into)], check=True)


def recreate(rig: Rig, topic: str, *, replicas: Sequence[int] = (0,), config: dict[str, str] | None = None) -> None:
    """Delete a topic, and create it with the same partitions; replicas: places of the brokers that have it."""
    admin = AdminClient({"bootstrap.servers": rig.past_links.bootstrap})
    spec = next(spec for spec in rig.topics.specs() if spec.name == topic)
    admin.delete_topics([topic], operation_timeout=ANSWER_SECONDS)[topic].result(ANSWER_SECONDS)
    rig.until("the topic is gone", lambda: topic not in admin.list_topics(timeout=ANSWER_SECONDS).topics)
    assignment = [[place + 1 for place in replicas]] * spec.partitions
    new = NewTopic(topic, spec.partitions, replica_assignment=assignment, config={**spec.config, **(config or {})})
    admin.create_topics([new])[topic].result(ANSWER_SECONDS)


def cut_in_half(folder: Path) -> None:
    """Take the second half of a log's active segment away."""
    segment = max(folder.glob("*.log"))
    with segment.open("r+b") as file:
        file.truncate(segment.stat().st_size // 2)
    for other in folder.iterdir():
        if other.suffix in INDEXES:
            other.unlink()


def repair(rig: Rig) -> None:
    """Let all outputs be written again, and the detector begin anew."""
    partitions = [f"--checkpoint={number}" for number in range(rig.topics.observations_partitions)]
    subprocess.run(
        [sys.executable, "-m", "services.cli", "repair", "observations", "--every-shard", "--yes", *partitions],
        env=environment(rig.past_links),
        check=True,
        capture_output=True,
    )


def consumed(rig: Rig) -> None:
    """Wait until the consumers have read all that was written."""
    rig.until("everything is written", lambda: rig.is_written)
    stations = rig.pipeline.stations()[: len(CONSUMERS)]
    rig.until("the consumers are done", lambda: all(station.behind() == 0 for station in stations))


def joiner_stops(rig: Rig) -> None:
    """Wait until the joiner says that someone must look."""
    rig.until("the joiner stops", lambda: rig.crew.members["joiner"].code in FINAL)
    rig.happened(stops=int(rig.crew.members["joiner"].code == ExitCode.LOG_IDENTITY))


def records_of(rig: Rig, topic: str) -> int:
    """Return how many records a topic holds."""
    return len(rig.read(topic))


def no_disk() -> str:
    """Return why no small disk can be made here."""
    return "" if os.geteuid() == 0 and shutil.which("mount") else "only root may mount a small disk"


FAULTS = (
    Fault(20, "an unclean election of a leader that lacks records", unclean_election, brokers=3, is_verified=False),
    Fault(21, "the tail of the observations is cut off", tail_cut_off, unproved=frozenset({Check.ALERTS})),
    Fault(22, "the halves are deleted and created again", created_again, is_verified=False),
    Fault(23, "the halves are trimmed beyond what was joined", trimmed, is_verified=False),
    Fault(24, "the broker's disk is full", disk_full, missing=no_disk),
)
