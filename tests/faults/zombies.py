"""Processes that stand still, starve or multiply, and what goes on beside them."""

from __future__ import annotations

import resource
import signal
import time
from pathlib import Path

from services.joiner.stage import BATCH_ROWS
from tests.faults.fault import Fault
from tests.faults.rig import DATA_PLANE, LOOK_SECONDS, Rig

SESSION_SECONDS = 6.0  # after which the group gives up a member that says nothing
STARVED_SECONDS = 15.0
TURN_SECONDS = 0.1  # of which a starved process gets a third


def joiner(rig: Rig) -> None:
    rig.start(fail={"joiner": ["joiner.before_cas:stop@5"]})
    rig.write()
    zombie = rig.crew.members["joiner"]
    rig.until("the joiner stands still", lambda: zombie.stands_still)
    rig.start("joiner-2")
    rig.settle()
    zombie.send(signal.SIGCONT)
    rig.until("its swap fails", lambda: rig.crew.count("joiner", "joiner_restarts_total"))
    rig.settle()
    copies = rig.copies()
    rig.happened(swaps_that_failed=rig.crew.count("joiner", "joiner_restarts_total"))
    rig.saw(copies_dropped=copies)
    # A prediction that meets its label gives two rows.
    rig.holds("at most a batch is written again", copies <= 2 * BATCH_ROWS)


def detector(rig: Rig) -> None:
    rig.start(fail={"detector": ["detector.before_checkpoint:stop@2"]})
    rig.write()
    zombie = rig.crew.members["detector"]
    rig.until("the detector stands still", lambda: zombie.stands_still)
    rig.start("detector-2")
    rig.settle()
    before = rig.positions()
    zombie.send(signal.SIGCONT)
    rig.until("it goes on", lambda: rig.crew.count("detector", "detector_checkpoints_total") > 1)
    after = rig.positions()
    rig.happened(alerts_that_followed_again=rig.crew.count("detector-2", "detector_alerts_repeated_total"))
    rig.holds("each alert is there once", rig.alert_copies() == 0)
    rig.holds("no checkpoint is older than before", all(after[number] >= before[number] for number in before))
    rig.crew.retire("detector-2")
    rig.settle()


def two_joiners(rig: Rig) -> None:
    rig.start("prediction_consumer", "ground_truth_consumer", "joiner", "joiner-2", "detector")
    rig.until("both joiners work", lambda: rig.crew.is_ready("joiner") and rig.crew.is_ready("joiner-2"))
    rig.write()
    rig.settle()
    failed = sum(rig.crew.count(name, "joiner_restarts_total") for name in ("joiner", "joiner-2"))
    rig.happened(swaps_that_failed=failed)
    rig.saw(copies_dropped=rig.copies())


def out_of_memory(rig: Rig) -> None:
    names = ("prediction_consumer", "joiner")
    rig.start()
    rig.until("all work", lambda: all(map(rig.crew.is_ready, DATA_PLANE)))
    for name in names:
        pid = rig.crew.members[name].pid
        used = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[0]) * resource.getpagesize()
        resource.prlimit(pid, resource.RLIMIT_AS, (used, used))
    rig.write()

    def ended() -> int:
        return sum(times for (name, _), times in rig.crew.ends.items() if name in names)

    rig.until("a process has no memory left", ended)
    rig.settle()
    rig.happened(out_of_memory=ended())
    rig.saw(copies_dropped=rig.copies(), duplicates_in_halves=rig.duplicates_in_halves())


def rebalances(rig: Rig) -> None:
    members = [f"prediction_consumer-{number}" for number in range(1, 5)]
    rig.start(members[0], *DATA_PLANE[1:])
    rig.write(per_second=rig.records / 25)
    owners: set[str] = set()
    longest, moved, at = 0.0, 0, time.monotonic()
    for wanted in (4, 2, 3, 1):
        for name in members[:wanted]:
            if name not in rig.crew.members:
                rig.start(name)
        for name in members[wanted:]:
            if name in rig.crew.members:
                rig.crew.retire(name)
        until = time.monotonic() + 5
        while time.monotonic() < until:
            rig.last(LOOK_SECONDS)
            done = rig.pipeline.consumed()
            if done > moved:
                longest, moved, at = max(longest, time.monotonic() - at), done, time.monotonic()
        owners |= {name for name in rig.crew.members if name in members and rig.crew.count(name, "position")}
    rig.settle()
    rig.happened(members_that_had_partitions=max(len(owners) - 1, 0), changes_of_the_group=4)
    rig.saw(longest_pause_ms=round(longest * 1000), duplicates_in_halves=rig.duplicates_in_halves())
    rig.holds("no pause is longer than two sessions", longest < 2 * SESSION_SECONDS)


def starved(rig: Rig) -> None:
    rig.start()
    rig.until("all work", lambda: all(map(rig.crew.is_ready, DATA_PLANE)))
    rig.write()
    stops = sick = 0
    until = time.monotonic() + STARVED_SECONDS
    while time.monotonic() < until:
        for number, seconds in ((signal.SIGSTOP, 0.7 * TURN_SECONDS), (signal.SIGCONT, 0.3 * TURN_SECONDS)):
            for member in rig.crew.members.values():
                member.send(number)
            time.sleep(seconds)
        stops += 1
        if stops % 20 == 0:
            sick += sum(not rig.crew.is_live(name) for name in DATA_PLANE)
    rig.settle()
    rig.happened(stops=stops)
    rig.holds("nobody is taken for dead while there is progress", sick == 0)


FAULTS = (
    Fault(8, "a joiner that stands still while another one takes over", joiner, is_minimum=True),
    Fault(9, "a detector that stands still while another one takes over", detector),
    Fault(10, "two joiners of the same shards all the time", two_joiners, is_minimum=True),
    Fault(11, "no memory left", out_of_memory),
    Fault(12, "consumers that come and go", rebalances),
    Fault(13, "processes that get a third of the processor", starved),
)
