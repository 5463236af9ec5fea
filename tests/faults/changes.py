"""Configurations and releases that change while events flow, and processes that die meanwhile."""

from __future__ import annotations

from services.cli.publication import publish
from shared.adapters.kafka import KafkaWriter
from shared.events.block import decode
from tests.faults.fault import Fault, not_yet
from tests.faults.rig import Rig
from tests.kit.pipeline import monitored, publications


def configuration(rig: Rig) -> None:
    rig.start(fail={"joiner": ["joiner.before_cas:exit@20"], "detector": ["detector.before_checkpoint:exit@4"]})
    rig.write(per_second=2_000)
    rig.await_joined(0.4)
    writer = KafkaWriter(rig.past_links.kafka, "test")
    for publication in publications(monitored(loan={"label_horizon": "61d"})):
        publish(writer, rig.topics, publication)
    writer.close()
    for name in ("joiner", "detector"):
        rig.await_end(name)
    rig.settle()
    stamps = [block.stamp.config_hash for block in map(decode, rig.here.records(rig.topics.halves)) if block.rows]
    kills = sum(rig.crew.ends.values())
    rig.happened(configurations=len(set(stamps)) - 1, kills=kills)
    rig.saw(copies_dropped=rig.copies(), alerts_again=rig.alert_copies())


FAULTS = (
    Fault(41, "a configuration changes, and who reads it is killed", configuration),
    not_yet(42, "a rolling upgrade to another fold", "there has been one release only"),
    not_yet(44, "credentials and certificates that expire", "these servers ask nobody who they are"),
)
