"""A broker that dies, links to it that fail, and a group whose offsets are gone."""

from __future__ import annotations

from confluent_kafka.admin import AdminClient

from tests.faults.crashes import CONSUMERS
from tests.faults.fault import Fault
from tests.faults.links import Way, Weather
from tests.faults.rig import DATA_PLANE, Rig

LOST_ACKS_SECONDS = 3.0
BLACK_HOLE_SECONDS = 20.0
SLOW_BYTES_PER_SECOND = 20_000
SLOW_SECONDS = 15.0
ANSWER_SECONDS = 30.0


def killed(rig: Rig) -> None:
    rig.start()
    rig.write()
    rig.await_joined(0.3)
    kafka = rig.servers.kafka
    before = kafka.pid
    rig.servers.restart(kafka)
    rig.settle()
    rig.happened(kills=int(kafka.pid != before))
    rig.saw(copies_dropped=rig.copies(), duplicates_in_halves=rig.duplicates_in_halves())
    rig.holds("nothing is dead-lettered", rig.letters() == 0)


def acknowledgements_lost(rig: Rig) -> None:
    link = rig.servers.kafka.link
    lost = f"bytes lost {Way.TO_CLIENT}"
    rig.start()
    rig.write(per_second=2_000)
    rig.await_joined(0.2)
    before = link.counts[lost]
    link.degrade(Way.TO_CLIENT, Weather(drops=True))
    rig.last(LOST_ACKS_SECONDS)
    link.heal()
    rig.settle()
    rig.happened(bytes_lost=link.counts[lost] - before)
    rig.saw(copies_dropped=rig.copies(), duplicates_in_halves=rig.duplicates_in_halves())
    rig.holds("nothing is dead-lettered", rig.letters() == 0)


def half_open_and_slow(rig: Rig) -> None:
    link = rig.servers.kafka.link
    rig.start()
    rig.write(per_second=rig.records / 30)
    rig.await_joined(0.2)
    before = sum(link.counts[f"bytes lost {way}"] for way in Way)
    link.black_hole()
    rig.last(BLACK_HOLE_SECONDS)
    lost = sum(link.counts[f"bytes lost {way}"] for way in Way) - before
    link.heal()
    at = rig.counters().served
    for way in Way:
        link.degrade(way, Weather(bytes_per_second=SLOW_BYTES_PER_SECOND))
    rig.last(SLOW_SECONDS)
    live = all(map(rig.crew.is_live, DATA_PLANE))
    link.heal()
    rig.settle()
    rig.happened(bytes_lost=lost)
    rig.saw(served_over_the_slow_link=rig.counters().served - at, copies_dropped=rig.copies())
    rig.holds("every loop comes round", live)


def group_forgotten(rig: Rig) -> None:
    rig.start()
    rig.write()
    rig.await_joined(0.5)
    for name in CONSUMERS:
        rig.crew.retire(name)
    copies = rig.copies()
    admin = AdminClient({"bootstrap.servers": rig.past_links.bootstrap})
    groups = [rig.settings.group(name) for name in CONSUMERS]
    for answer in admin.delete_consumer_groups(groups, request_timeout=ANSWER_SECONDS).values():
        answer.result(ANSWER_SECONDS)
    rig.start(*CONSUMERS)
    rig.settle()
    rig.happened(duplicates_in_halves=rig.duplicates_in_halves())
    rig.holds("the joiner repeats nothing", rig.copies() == copies)


FAULTS = (
    Fault(14, "kill -9 of the broker", killed, is_minimum=True),
    Fault(18, "acknowledgements of the broker get lost", acknowledgements_lost),
    Fault(19, "a link that is half open, then slow", half_open_and_slow),
    Fault(25, "the consumers' offsets are deleted", group_forgotten),
)
