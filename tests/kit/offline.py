"""The logs of a run folded again, in one thread and without servers: what the services must have made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.metadata import version

from services.cli.backtest.run import Published
from services.cli.publication import Publication
from services.detector.outputs import Outputs
from services.detector.partition import FoldOptions, PartitionFold
from services.detector.report import NoSink
from services.detector.watch import WatchOptions
from services.joiner.adapters.memory_view import MemoryView
from services.joiner.stage import JoinerStage
from services.joiner.view import Snapshot
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.durations import parse_duration
from shared.identity import IdKey
from shared.log import Outgoing, Record
from shared.runtime import drain
from shared.settings import Settings


def joined(settings: Settings, halves: Iterable[Record]) -> tuple[list[Record], dict[int, Snapshot]]:
    """Return the observations that follow from `halves`, and the view of each shard after them."""
    topics = settings.topics
    broker = MemoryBroker(ManualClock())
    broker.create(*topics.specs())
    for half in halves:
        again = broker.append(
            Outgoing(half.topic, half.value, half.key, half.partition, half.headers, half.timestamp_ms)
        )
        assert again == half
    view, shards = MemoryView(), range(topics.halves_partitions)
    key = IdKey(settings.id_key.encode())
    drain([JoinerStage(broker.reader(), broker.writer(), view, topics=topics, key=key, shards=shards)])
    return broker.records(topics.observations), {shard: view.load(shard) for shard in shards}


def detected(
    settings: Settings, publications: Sequence[Publication], observations: Iterable[Record], partition: int
) -> tuple[list[bytes | None], bytes]:
    """Return the alerts that follow from one partition's observations, and the state after them."""
    outputs = Outputs(settings.topics, settings.installation)
    options = FoldOptions(outputs, parse_duration(settings.heartbeat), WatchOptions(outputs, version("driftline")))
    fold = PartitionFold(partition, Published(publications), options, NoSink())
    messages = [message for record in observations for message in fold.fold(record)]
    alerts = [message.value for message in messages if message.topic == settings.topics.alerts]
    return alerts, fold.snapshot()
