"""Configurations and releases that change while events flow, and processes that die meanwhile."""

from __future__ import annotations

from services.cli.publication import publish
from shared.adapters.kafka import KafkaWriter
from shared.events.block import decode
from tests.faults.fault import Fault, not_yet
from tests.faults.rig import Rig
from tests.kit.pipeline import monitored, publications

LOAD_SECONDS = 30.0  # long enough for a change to be taken up meanwhile


def configuration(rig: Rig) -> None:
    rig.start()
    rig.write(per_second=rig.records / LOAD_SECONDS)
    rig.await_joined(0.2)
    writer = KafkaWriter(rig.past_links.kafka, "test")
    for publication in publications(monitored(loan={"label_horizon": "61d"})):
        publish(writer, rig.topics, publication)
    writer.close()
    rig.until("the consumers have taken it up", lambda: len(configurations(rig)) > 1)
    rig.crew.kill("joiner", "detector")
    rig.settle()
    rig.happened(changes=len(configurations(rig)) - 1, kills=sum(rig.crew.ends.values()))
    rig.saw(copies_dropped=rig.copies(), alerts_again=rig.alert_copies())


def configurations(rig: Rig) -> set[str]:
    """Return under which definitions the rows of the halves were made."""
    blocks = map(decode, rig.here.records(rig.topics.halves))
    return {block.stamp.config_hash for block in blocks if block.rows}


FAULTS = (
    Fault(41, "a configuration changes, and who reads it is killed", configuration),
    not_yet(42, "a rolling upgrade to another fold", "there has been one release only"),
    not_yet(44, "credentials and certificates that expire", "these servers ask nobody who they are"),
)
