"""Producers that repeat, correct, reorder and are late, and events that nobody can read."""

from __future__ import annotations

import time

from services.cli.adapters.dead_letters import resumed
from shared.events.alert import Incident, IncidentKind, decode_alert
from shared.log import TopicPartition
from tests.faults.fault import Fault
from tests.faults.load import Mix, labels_for, predictions_for
from tests.faults.rig import Rig
from tests.kit.installation import Event

CHAOS = Mix(copies=0.2, copies_each=4, labels_first=0.2, corrected=0.05, versions_swapped=0.05, resent=1_000)
LATE = range(1_000_000, 1_000_500)
HORIZON_SECONDS = 6.0
GARBAGE = 1_000


def chaos(rig: Rig) -> None:
    rig.start()
    rig.until(
        "both consumers work", lambda: all(map(rig.crew.is_ready, ("prediction_consumer", "ground_truth_consumer")))
    )
    rig.write_events(predictions_for(rig.topics, LATE))
    rig.settle()
    expired = time.monotonic() + 2 * HORIZON_SECONDS
    rig.write(CHAOS)
    rig.settle()
    rig.last(expired - time.monotonic())
    unmatched = rig.counters().unmatched_label
    rig.write_events(labels_for(rig.topics, LATE))
    rig.settle()
    counted = rig.counters()
    rig.happened(
        prediction_duplicates=counted.prediction_duplicates,
        label_duplicates=counted.label_duplicates,
        corrections=counted.corrections,
        versions_out_of_order=counted.label_conflicts,
        labels_too_late=counted.unmatched_label - unmatched,
    )
    rig.saw(unmatched_before=unmatched)
    rig.holds("every late label is counted", counted.unmatched_label - unmatched == len(LATE))


def poison(rig: Rig) -> None:
    rig.start()
    rig.write(Mix(poison=0.01))
    rig.settle()
    assert rig.load is not None
    letters = rig.letters()
    rig.holds("every unreadable event is a dead letter", letters == rig.load.poison)
    garbage = [Event(rig.topics.predictions, None, b"{")] * GARBAGE
    rig.write_events(garbage, partition=0)
    rig.until("the partition is halted", lambda: rig.crew.count("prediction_consumer", "ingest_halted"))
    rig.until("a watchdog tells of it", lambda: told_of_halts(rig))
    served = rig.counters().served
    rig.write_events(predictions_for(rig.topics, LATE))
    rig.until("the other partitions go on", lambda: rig.counters().served > served + len(LATE) // 2)
    halts = rig.crew.count("prediction_consumer", "ingest_halted")
    rig.happened(dead_letters=letters, halts=halts, alerts_of_it=told_of_halts(rig))
    rig.saw(served_meanwhile=rig.counters().served - served)
    rig.holds("not all of it is a dead letter", rig.letters() < letters + GARBAGE)
    resumed(rig.past_links, [TopicPartition(rig.topics.predictions, 0)], "test")
    rig.settle()
    rig.holds("all of it is read in the end", rig.letters() == letters + GARBAGE)
    rig.holds("nothing good is lost", rig.counters().served == served + len(LATE))


def told_of_halts(rig: Rig) -> int:
    """Return how many alerts tell of the partition that is not read."""
    alerts = [decode_alert(record.value or b"") for record in rig.read(rig.topics.alerts)]
    log = f"{rig.topics.predictions}/0"
    told = [alert.data for alert in alerts if isinstance(alert.data, Incident)]
    return sum(one.kind is IncidentKind.WATCHDOG and log in one.summary for one in told)


FAULTS = (
    Fault(
        38,
        "producers that repeat, correct, reorder and are late",
        chaos,
        is_minimum=True,
        joins_all=False,
        model={"label_horizon": f"{HORIZON_SECONDS:g}s"},
    ),
    Fault(40, "events that nobody can read, in one partition nothing else", poison, is_minimum=True, joins_all=False),
)
