"""Webhooks that answer with errors, late, or not at all."""

from __future__ import annotations

import time
from itertools import count

import msgspec

from shared.events.retraining import RetrainingEvent, RetrainingState
from tests.faults.fault import Fault
from tests.faults.rig import DATA_PLANE, Rig
from tests.kit.receiver import Answer, Got, receiving

HANGS_SECONDS = 20.0
CONFIGURATION = """
models:
  loan:
    task: binary
    positive_class: 1
    reference: loans.parquet
    segments: [channel]
    label_horizon: 60d
    retrain: {{when: on_drift, cool_down: 1d, action: {{webhook: {{url: "{retrain}"}}}}}}
notify: [{{to: [log, sick]}}]
channels: {{sick: {{webhook: {{url: "{people}"}}}}}}
"""


def sick(rig: Rig) -> None:
    asked = count(1)

    def answer(_: Got) -> Answer:
        number = next(asked)
        if number == 2:
            time.sleep(HANGS_SECONDS)
        return Answer(500 if number < 4 else 202)

    with receiving(answer) as orchestrator, receiving(lambda _: Answer(503)) as people:
        path = rig.folder / "driftline.yaml"
        path.write_text(CONFIGURATION.format(retrain=orchestrator.url(), people=people.url("/people")), "utf-8")
        configured = msgspec.structs.replace(rig.settings, config=str(path))
        rig.start()
        for name in ("retrain_trigger", "notifier"):
            rig.crew.start(name, settings=configured)
        rig.write()
        rig.until("the orchestrator has accepted", lambda: RetrainingState.ACCEPTED in states(rig))
        rig.until("the log tells of the incident", lambda: told(rig))
        rig.settle()
        keys = [got.headers["idempotency-key"] for got in orchestrator.got]
        rig.happened(requests_that_failed=len(keys) - len(set(keys)), notices_refused=len(people.got))
        rig.saw(requests=len(keys))
        rig.holds("one start is asked for", len(set(keys)) == 1)
        rig.holds("every service lives", all(map(rig.crew.is_live, (*DATA_PLANE, "retrain_trigger", "notifier"))))


def states(rig: Rig) -> list[RetrainingState]:
    """Return what was decided and what became of it, in order."""
    records = rig.read(rig.topics.retraining)
    return [msgspec.json.decode(record.value or b"", type=RetrainingEvent).data.state for record in records]


def told(rig: Rig) -> bool:
    """Return whether the channel `log` was told of an incident."""
    return any("alert" in line for line in rig.crew.members["notifier"].lines())


FAULTS = (Fault(43, "webhooks that answer with errors, late, or not at all", sick),)
