"""Three brokers, of which one or two die or stand still."""

from __future__ import annotations

import os
import signal

from confluent_kafka.admin import AdminClient

from tests.faults.fault import Fault
from tests.faults.rig import Rig
from tests.faults.servers import LinkedKafka

GREY_SECONDS = 40.0
ANSWER_SECONDS = 30.0


def leader_killed(rig: Rig) -> None:
    rig.start()
    rig.write(per_second=2_000)
    rig.await_joined(0.3)
    broker = leader(rig)
    broker.kill()
    rig.settle()
    rig.happened(kills=int(broker.pid is None), changes_of_leader=int(leader(rig) is not broker))
    broker.start(broker.port)
    rig.saw(copies_dropped=rig.copies(), duplicates_in_halves=rig.duplicates_in_halves())
    rig.holds("nothing is dead-lettered", rig.letters() == 0)


def below_min_isr(rig: Rig) -> None:
    rig.start()
    rig.write(per_second=2_000)
    rig.await_joined(0.3)
    killed = [broker for broker in rig.servers.brokers if broker is not leader(rig)]
    for broker in killed:
        broker.kill()
    rig.until("the joiner says that it waits", lambda: not rig.crew.is_ready("joiner"))
    for broker in killed:
        broker.begin(broker.port)
    for broker in killed:
        broker.await_answer()
    rig.settle()
    rig.happened(kills=len(killed))
    rig.saw(copies_dropped=rig.copies(), duplicates_in_halves=rig.duplicates_in_halves())
    rig.holds("nothing is dead-lettered", rig.letters() == 0)


def grey_leader(rig: Rig) -> None:
    rig.start()
    rig.write(per_second=1_000)
    rig.await_joined(0.3)
    broker = leader(rig)
    assert broker.pid is not None
    os.kill(broker.pid, signal.SIGSTOP)
    rig.last(GREY_SECONDS)
    served = rig.counters().served
    moved = leader(rig) is not broker
    os.kill(broker.pid, signal.SIGCONT)
    rig.settle()
    rig.happened(changes_of_leader=int(moved))
    rig.saw(served_meanwhile=served, copies_dropped=rig.copies(), duplicates_in_halves=rig.duplicates_in_halves())
    rig.holds("nothing is dead-lettered", rig.letters() == 0)


def leader(rig: Rig) -> LinkedKafka:
    """Return the leader of the halves' first partition."""
    metadata = AdminClient({"bootstrap.servers": rig.past_links.bootstrap}).list_topics(
        rig.topics.halves, timeout=ANSWER_SECONDS
    )
    return rig.servers.brokers[metadata.topics[rig.topics.halves].partitions[0].leader - 1]


FAULTS = (
    Fault(15, "kill -9 of a leader among three brokers", leader_killed, brokers=3),
    Fault(16, "kill -9 of two of three brokers", below_min_isr, brokers=3),
    Fault(17, "a leader that stands still", grey_leader, brokers=3),
)
