"""Processes that die: at every access that matters, at random, and all at once."""

from __future__ import annotations

import signal

from shared.runtime import ExitCode
from tests.faults.fault import Fault
from tests.faults.rig import DATA_PLANE, Rig

CONSUMERS = ("prediction_consumer", "ground_truth_consumer")


def consumers_at_random(rig: Rig) -> None:
    plans = {name: [f"{name}.before_commit:exit@3"] for name in CONSUMERS}
    rig.start(fail=plans)
    rig.write(per_second=1_500)
    for share in sorted(rig.dice.uniform(0.2, 0.9) for _ in range(4)):
        rig.await_written(share)
        rig.crew.kill(rig.dice.choice(CONSUMERS))
    rig.settle()
    kills = sum(rig.crew.ends[name, -signal.SIGKILL] for name in CONSUMERS)
    rig.happened(kills=kills, duplicates_in_halves=rig.duplicates_in_halves())


def joiner_before_the_swap(rig: Rig) -> None:
    rig.start(fail={"joiner": ["joiner.before_cas:exit@5"]})
    rig.write()
    rig.await_end("joiner")
    rig.settle()
    rig.happened(kills=rig.crew.ends["joiner", -signal.SIGKILL], copies_dropped=rig.copies())


def joiner_after_the_swap(rig: Rig) -> None:
    rig.start(fail={"joiner": ["joiner.after_cas:exit@5"]})
    rig.write()
    rig.await_end("joiner")
    rig.settle()
    rig.happened(kills=rig.crew.ends["joiner", -signal.SIGKILL])
    rig.holds("nothing is written twice", rig.copies() == 0)


def joiner_amid_its_outputs(rig: Rig) -> None:
    rig.start(fail={"joiner": ["joiner.emit:exit@37", "joiner.emit:raise@37", "joiner.after_read:exit@3"]})
    rig.write()
    rig.await_end("joiner")
    rig.await_end("joiner", ExitCode.BUG)
    rig.settle()
    rig.happened(kills=rig.crew.ends["joiner", -signal.SIGKILL], errors=rig.crew.ends["joiner", ExitCode.BUG])
    rig.saw(copies_dropped=rig.copies())


def detector_before_the_checkpoint(rig: Rig) -> None:
    # Whichever batches there are: the second commits alerts without a checkpoint behind them, the third adds none, and
    # the last, whose counter is read, folds those alerts again.
    plan = ["detector.emit:exit@3", "detector.after_commit:exit@1", "detector.before_checkpoint:exit@1"]
    rig.start(fail={"detector": list(plan)})
    rig.write()
    rig.until("the detector dies at each place", lambda: rig.crew.ends["detector", -signal.SIGKILL] == len(plan))
    rig.settle()
    again = rig.crew.count("detector", "detector_alerts_repeated_total")
    rig.happened(kills=rig.crew.ends["detector", -signal.SIGKILL], alerts_that_followed_again=again)
    rig.saw(alerts=rig.alerts())
    rig.holds("each alert is there once", rig.alert_copies() == 0)


def everything_at_once(rig: Rig) -> None:
    rig.start()
    rig.write(per_second=2_000)
    rig.await_joined(0.4)
    rig.crew.kill(*DATA_PLANE)
    rig.servers.kafka.kill()
    rig.servers.redis.kill()
    rig.servers.redis.start(rig.servers.redis.port)
    rig.servers.kafka.start(rig.servers.kafka.port)
    rig.settle()
    kills = sum(rig.crew.ends[name, -signal.SIGKILL] for name in DATA_PLANE)
    rig.happened(services_killed=kills, servers_killed=2)
    rig.saw(copies_dropped=rig.copies(), duplicates_in_halves=rig.duplicates_in_halves())
    rig.holds("every service was killed", kills == len(DATA_PLANE))


FAULTS = (
    Fault(1, "kill -9 of the consumers at random", consumers_at_random),
    Fault(2, "kill -9 of the joiner between acknowledgements and swap", joiner_before_the_swap, is_minimum=True),
    Fault(3, "kill -9 of the joiner after the swap", joiner_after_the_swap),
    Fault(4, "kill -9 and an error amid the joiner's outputs", joiner_amid_its_outputs, is_minimum=True),
    Fault(5, "kill -9 of the detector before its checkpoint", detector_before_the_checkpoint, is_minimum=True),
    Fault(7, "kill -9 of everything at once, servers too", everything_at_once),
)
