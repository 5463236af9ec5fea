"""Joiners and detectors as processes of a group: partitions change hands under load, also where a process dies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.fault import Fault, Verdict
from tests.faults.rig import Rig
from tests.faults.run import run
from tests.faults.servers import programs, servers

pytestmark = pytest.mark.long
RECORDS = 12_000
SECONDS = 30  # that the load is written for
FIRST, SECOND = ("joiner", "detector"), ("joiner-2", "detector-2")


def come_and_die(rig: Rig) -> None:
    all_of = {"joiner": rig.topics.halves_partitions, "detector": rig.topics.observations_partitions}

    def partitions(name: str) -> int:
        return len(rig.crew.samples(name).get("position", {}))

    def have_all(names: tuple[str, ...]) -> bool:
        return all(partitions(name) == all_of[name.partition("-")[0]] for name in names)

    def share() -> bool:
        """Return whether everyone has some partitions, and nobody those of others."""
        counts = [partitions(name) for name in (*FIRST, *SECOND)]
        return all(counts) and sum(counts) == sum(all_of.values())

    rig.start()
    rig.until("one of each has all", lambda: have_all(FIRST))
    rig.write(per_second=RECORDS / SECONDS)
    rig.await_joined(0.1)
    rig.start(*SECOND)
    rig.until("two of each share", share)
    rig.await_joined(0.4)
    rig.crew.kill(*FIRST)
    for name in FIRST:
        rig.crew.members.pop(name)
    rig.until("who lives has all", lambda: have_all(SECOND))
    rig.await_joined(0.6)
    rig.start(*FIRST)
    rig.until("two of each share again", share)
    for name in SECOND:
        rig.crew.retire(name)
    rig.until("the first ones have all again", lambda: have_all(FIRST))
    rig.settle()
    rig.happened(kills=len(FIRST), retirements=len(SECOND), members=len(FIRST) + len(SECOND))
    rig.saw(copies_dropped=rig.copies())
    rig.holds("each alert is there once", rig.alert_copies() == 0)


GROUP = Fault(
    0, "joiners and detectors come and die", come_and_die, model={"spread": 4}, settings={"assignment": "group"}
)


@pytest.mark.usefixtures("stack")
def test_partitions_that_change_hands_are_folded_as_in_one_thread(tmp_path: Path) -> None:
    with servers(programs(print)) as running:
        row = run(GROUP, running, tmp_path, seed=17, records=RECORDS)

    assert row.why == []
    assert row.verdict is Verdict.GREEN
