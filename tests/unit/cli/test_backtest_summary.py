"""The summary of a backtest, as a file and for people."""

from __future__ import annotations

import msgspec
import pytest

from services.cli.backtest.summary import Armed, ModelSummary, Summary, incidents_of, summarise
from services.joiner.meta import Counters
from shared.events.alert import Incident, IncidentEvent, IncidentKind
from shared.events.dead_letter import dead_letter
from shared.log import Record
from shared.topics import Topics
from tests.kit.alerts import culprit, heartbeat_bytes, incident, incident_bytes
from tests.kit.traffic import Log, fold_of, folded, rows, watch_of


def record(value: bytes | None) -> Record:
    return Record("any", 0, 0, 0, None, value)


def told(event: IncidentEvent, incident_id: str = "i1", rows_affected: int = 900) -> Record:
    data = msgspec.structs.replace(incident(incident_id=incident_id), rows_affected=rows_affected)
    return record(incident_bytes(event, data))


def letter(reason: str) -> Record:
    topics = Topics()
    sent = dead_letter(topics, record(b"{"), service="test", reason=reason, detail="", model=None)
    return record(sent.value)


def summary(*incidents: Incident, state: str = "open") -> Summary:
    armed = Armed(0.8, 0.25)
    not_armed = {"age": "psi moved by itself"}
    return Summary(
        counts={"loans": Counters(served=12_345)},
        dead_letters={"json": 1_234},
        models=[
            ModelSummary(
                model="loans",
                model_version="v1",
                rows_served=12_345,
                rows_labelled=678,
                armed=armed,
                not_armed=not_armed,
            )
        ],
        armed=armed,
        incidents=list(incidents),
        incidents_of_rules=0,
        states={found.incident_id: state for found in incidents},
        events={},
        seconds=1.25,
    )


def test_an_incident_is_listed_once_as_it_was_told_last() -> None:
    events = [
        told(IncidentEvent.OPENED, "i1", 1),
        told(IncidentEvent.OPENED, "i2", 2),
        record(heartbeat_bytes()),
        told(IncidentEvent.UPDATED, "i1", 3),
        record(heartbeat_bytes("another")),
        told(IncidentEvent.RESOLVED, "i1", 4),
    ]

    incidents, states, counted = incidents_of(events)

    assert [(found.incident_id, found.rows_affected) for found in incidents] == [("i1", 4), ("i2", 2)]
    assert states == {"i1": "resolved", "i2": "open"}
    assert counted == {
        "driftline.incident.opened": 2,
        "driftline.heartbeat": 2,
        "driftline.incident.updated": 1,
        "driftline.incident.resolved": 1,
    }


def test_an_incident_that_was_taken_back_is_not_open() -> None:
    _, states, _ = incidents_of([told(IncidentEvent.OPENED), told(IncidentEvent.RETRACTED)])

    assert states == {"i1": "retracted"}


def test_a_summary_counts_versions_and_dead_letters() -> None:
    log = Log(rows(700))
    log.serve(0, 500)
    log.serve(500, 700, model_version="v2")
    log.label(0, 300)
    fold = fold_of()
    folded(fold, log.records)
    counters = {"loans": Counters(served=700)}

    found = summarise(counters, fold.watches, [], [letter("schema"), letter("json"), letter("schema")], 1.23456)

    assert [(model.model_version, model.rows_served, model.rows_labelled) for model in found.models] == [
        ("v1", 500, 300),
        ("v2", 200, 0),
    ]
    assert found.armed == Armed(watch_of(fold).armed_all_traffic, watch_of(fold).armed_segments)
    assert list(found.dead_letters.items()) == [("json", 1), ("schema", 2)]
    assert (found.counts, found.seconds) == (counters, 1.235)


def test_incidents_of_rules_are_counted_apart() -> None:
    ruled = incident(incident_id="i2", culprits=[msgspec.structs.replace(culprit("age"), detector="rule")])

    found = summarise(
        {}, {}, [told(IncidentEvent.OPENED), record(incident_bytes(IncidentEvent.OPENED, ruled))], [], 0.0
    )

    assert (len(found.incidents), found.incidents_of_rules) == (2, 1)
    assert found.lines()[-1] == "1 incident and 1 of rules in 0.0 s"


def test_a_backtest_without_events_has_a_summary() -> None:
    found = summarise({}, {}, [], [], 0.0)

    assert found.lines() == ["0 incidents in 0.0 s"]
    assert found.armed == Armed(0.0, 0.0)


def test_a_summary_survives_its_file() -> None:
    written = summary(incident())

    assert msgspec.json.decode(msgspec.json.encode(written), type=Summary) == written


def test_a_summary_for_people_says_what_was_read_and_what_may_page() -> None:
    assert summary().lines() == [
        "loans v1: 12,345 predictions, 678 labels joined; armed: 80% of columns on all traffic, 25% of segment cells",
        "  age does not page: psi moved by itself",
        "dead letters: 1,234 json",
        "0 incidents in 1.2 s",
    ]


@pytest.mark.parametrize("state", ["open", "resolved", "retracted"])
def test_a_summary_for_people_tells_of_each_incident_how_it_stands(state: str) -> None:
    data = incident(kinds=[IncidentKind.PERFORMANCE_DEGRADATION, IncidentKind.CONCEPT_DRIFT])

    *_, line, last = summary(msgspec.structs.replace(data, summary="in words"), state=state).lines()

    assert line == (
        f"warning performance_degradation+concept_drift ({state}) from row 12,100, detected at 12,999: in words"
    )
    assert last == "1 incident in 1.2 s"
