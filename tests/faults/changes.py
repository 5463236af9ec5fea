"""Configurations and releases that change while events flow, and processes that die meanwhile."""

from __future__ import annotations

import signal
from collections import Counter

from services.cli.publication import publish
from shared.adapters.kafka import KafkaWriter
from shared.events.block import decode
from shared.runtime import ExitCode
from tests.faults.fault import Fault
from tests.faults.rig import Rig
from tests.kit.next_release import NEXT, next_release
from tests.kit.pipeline import monitored, publications

NEXT_RELEASE = "tests.kit.next_release"
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


def upgrade(rig: Rig) -> None:
    """The next release takes over while the one before is amid a batch; that one goes on where it was, and stops."""
    rig.start(fail={"joiner": ["joiner.before_cas:stop@12"]})
    old = rig.crew.members["joiner"]
    rig.write(per_second=rig.records / LOAD_SECONDS)
    rig.until("the joiner stands still", lambda: old.stands_still)
    rig.undo.enter_context(next_release())
    rig.crew.start("joiner-2", program=[NEXT_RELEASE, "joiner"])
    rig.until("the next joiner has gone on", lambda: folds(rig)[NEXT])
    before = ("joiner", "detector")
    rig.crew.may_stop.update(before)
    old.send(signal.SIGCONT)
    rig.until("those of before stop", lambda: all(rig.crew.members[name].code is not None for name in before))
    refusals = [rig.crew.retire(name) for name in before].count(ExitCode.NEWER)
    rig.crew.may_stop.clear()
    rig.crew.start("detector", program=[NEXT_RELEASE, "detector"])
    rig.until("the next detector has gone on", lambda: rig.crew.is_ready("detector"))
    rig.crew.kill("joiner-2", "detector")
    rig.settle()
    given = folds(rig)
    rig.happened(
        refusals=refusals,
        kills=sum(rig.crew.ends.values()),
        outputs_before=given[NEXT - 1],
        outputs_after=given[NEXT],
    )
    rig.saw(copies_dropped=rig.copies(), alerts_again=rig.alert_copies())


def folds(rig: Rig) -> Counter[int]:
    """Return how many observations each version of the joiner's fold gave."""
    chains = (decode(record).chain for record in rig.read(rig.topics.observations))
    return Counter(chain.fold for chain in chains if chain is not None)


def configurations(rig: Rig) -> set[str]:
    """Return under which definitions the rows of the halves were made."""
    blocks = map(decode, rig.read(rig.topics.halves))
    return {block.stamp.config_hash for block in blocks if block.rows}


FAULTS = (
    Fault(41, "a configuration changes, and who reads it is killed", configuration),
    Fault(42, "a rolling upgrade to another fold, and who does it is killed", upgrade),
)
