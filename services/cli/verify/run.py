"""A whole verification, logs in order of flow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from services.cli.verify.alerts import VerifiedPartition
from services.cli.verify.decisions import verify_decisions
from services.cli.verify.inputs import verify_inputs
from services.cli.verify.installation import Installation
from services.cli.verify.observations import Reach
from services.cli.verify.report import Check, Evidence, Report
from services.cli.verify.said import read_said
from services.cli.verify.shard import verify_shard
from services.cli.verify.starts import DetectorReach
from services.detector.checkpoints import Checkpoint
from shared.errors import ConfigurationError
from shared.log import Reader, TopicPartition


def verify(here: Installation, before_ms: int | None = None) -> Report:
    """Verify an installation, running or not.

    before_ms: begin the folds of the observations at the newest checkpoints in their topic that were written by then;
    None is where the logs begin.

    Raises:
        Unavailable: a log or a store is away.
        ConfigurationError: a topic does not exist, or has another number of partitions.
    """
    earlier = _checkpoints(here)
    evidence: list[Evidence] = []
    with closing(here.open_reader()) as reader:
        _check_partitions(here, reader)
        evidence += verify_inputs(here, reader)
        for shard in range(here.topics.halves_partitions):
            evidence += _shard(here, reader, shard)
        evidence += _detector(here, reader, earlier, before_ms)
        evidence += [verify_decisions(here, reader, number) for number in range(here.topics.alerts_partitions)]
    return Report.of([one.proof() for one in evidence])


def _shard(here: Installation, reader: Reader, shard: int) -> list[Evidence]:
    position = here.view.load(shard).position
    observations = here.logs(here.topics.observations, reader)
    halves = reader.bounds(TopicPartition(here.topics.halves, shard))
    return verify_shard(here, Reach(shard, position, observations, halves))


def _detector(
    here: Installation, reader: Reader, earlier: dict[int, Checkpoint | None], before_ms: int | None
) -> Iterator[Evidence]:
    checkpoints = _checkpoints(here)
    logged = {number: here.logged.of(number) for number in checkpoints}
    topic_id = reader.topic_id(here.topics.observations)
    logs = here.logs(here.topics.alerts, reader)
    observations = here.logs(here.topics.observations, reader)
    topics = {source: Evidence(Check.ALERTS, source, *bounds) for source, bounds in logs.items()}
    said = read_said(here, topics)
    partitions = []
    for (_, number), bounds in observations.items():
        reach = DetectorReach(number, earlier[number], checkpoints[number], logged[number], topic_id, bounds, before_ms)
        partition = VerifiedPartition(here, reach, said)
        partition.verify()
        partitions.append(partition)
        yield from (partition.alerts, partition.state, partition.logged)
    for identity, alert in said.by_id.items():
        if any(partition.covers(alert.model, alert.time_ms) for partition in partitions):
            topics[alert.source].differs(alert.at, f"{identity} of {alert.model} follows from no observation")
    yield from topics.values()


def _checkpoints(here: Installation) -> dict[int, Checkpoint | None]:
    return {number: here.keeping.newest(number)[0] for number in range(here.topics.observations_partitions)}


def _check_partitions(here: Installation, reader: Reader) -> None:
    topics = here.topics
    wanted = {
        topics.halves: topics.halves_partitions,
        topics.observations: topics.observations_partitions,
        topics.alerts: topics.alerts_partitions,
        topics.retraining: topics.alerts_partitions,
    }
    for topic, partitions in wanted.items():
        found = reader.partitions(topic)
        if found != partitions:
            raise ConfigurationError(f"topic {topic}", f"has {found} partitions, not {partitions}")
