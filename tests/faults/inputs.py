"""Producers that repeat, correct, reorder and are late, and events that nobody can read."""

from __future__ import annotations

import time

from shared.runtime import ExitCode
from tests.faults.fault import Fault
from tests.faults.load import Mix, labels_for, predictions_for
from tests.faults.rig import Rig

CHAOS = Mix(copies=0.2, copies_each=4, labels_first=0.2, corrected=0.05, versions_swapped=0.05, resent=1_000)
LATE = range(1_000_000, 1_000_500)
HORIZON_SECONDS = 6.0


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
    rig.crew.may_stop.add("prediction_consumer")
    bad = [event._replace(value=b"{") for event in rig.load.events if event.topic == rig.topics.predictions]
    rig.write_events(bad, partition=0)
    consumer = rig.crew.members["prediction_consumer"]
    rig.until("the consumer stops", lambda: consumer.code is not None)
    rig.happened(dead_letters=letters, stopped=int(consumer.code == ExitCode.CORRUPT))
    rig.saw(dead_letters_at_last=rig.letters())


FAULTS = (
    Fault(
        38,
        "producers that repeat, correct, reorder and are late",
        chaos,
        is_minimum=True,
        joins_all=False,
        model={"label_horizon": f"{HORIZON_SECONDS:g}s"},
    ),
    Fault(40, "events that nobody can read, then nothing else", poison, is_minimum=True, joins_all=False),
)
