"""A watch that ends closes its open incidents: what its successor accepts is accepted, the rest is taken back."""

from __future__ import annotations

import msgspec

from services.cli.publication import Publication
from shared.definition import Acceptance, ServedRows
from shared.events.alert import CLOSING, Incident, IncidentEvent
from shared.log import Outgoing
from tests.kit.traffic import SPEC, Log, fold_of, folded, incidents, publication, published_as, rows, watch_of

OPENED, ACCEPTED, RETRACTED = IncidentEvent.OPENED, IncidentEvent.ACCEPTED, IncidentEvent.RETRACTED
ROWS = ServedRows(since="2026-01-01T00:00:00.000Z", until="2026-01-02T00:00:00.000Z", rows=12_000)
REASON = "the loans of the EU launch are larger"


def successor(*incident_ids: str) -> Publication:
    """Return a definition over another baseline that accepts these incidents."""
    accepts = [Acceptance(incident_id=one, reason=REASON, at="2026-01-03T00:00:00.000Z") for one in incident_ids]
    return published_as(SPEC, seed=8).telling(ROWS, accepts, publication().definition.hash)


def drifted() -> Log:
    log = Log(rows(6_000, drift_at=2_000, error_rate=0.5))
    log.serve(0, 4_000)
    log.label(0, 4_000)
    return log


def opened() -> list[Incident]:
    """Return the incidents that are open after `drifted`: one of drift, one of performance."""
    return [data for event, data in incidents(folded(fold_of(), drifted().records)) if event is OPENED]


def told_under(following: Publication) -> list[Outgoing]:
    """Return what is told of rows that come under another definition."""
    log = drifted()
    fold = fold_of(publication(), following)
    folded(fold, log.records)
    log.stamped, log.version = following, 2
    log.serve(4_000, 4_100)
    after = folded(fold, log.records[-1:])
    assert watch_of(fold).open_incidents() == []
    assert watch_of(fold).rows_served == 100
    return after


def test_the_incident_that_is_named_is_accepted_and_the_other_one_is_taken_back() -> None:
    drift, loss = opened()

    told = incidents(told_under(successor(drift.incident_id)))

    assert [(event, data.incident_id, data.reason) for event, data in told] == [
        (ACCEPTED, drift.incident_id, REASON),
        (RETRACTED, loss.incident_id, None),
    ]
    assert (told[0][1].configuration_version, told[0][1].baseline_hash) == (1, drift.baseline_hash)
    assert told[0][1].rows_affected == 4_000 - drift.onset.row


def test_all_that_are_named_are_accepted() -> None:
    drift, loss = opened()

    told = incidents(told_under(successor(loss.incident_id, drift.incident_id)))

    assert [(event, data.incident_id) for event, data in told] == [
        (ACCEPTED, drift.incident_id),
        (ACCEPTED, loss.incident_id),
    ]


def test_an_accepted_incident_has_no_latest_state_any_more() -> None:
    drift, loss = opened()

    told = told_under(successor(drift.incident_id, loss.incident_id))

    states = {message.key: message.value for message in told if message.topic.endswith("driftline.incidents")}
    assert states == dict.fromkeys([drift.incident_id.encode(), loss.incident_id.encode()])


def test_an_incident_of_another_watch_is_not_accepted_by_its_name_alone() -> None:
    assert [event for event, _ in incidents(told_under(successor("something else")))] == [RETRACTED, RETRACTED]


def test_a_definition_over_the_same_baseline_does_not_start_anew() -> None:
    drift, loss = opened()
    accepted = successor(drift.incident_id, loss.incident_id)
    shorter = msgspec.structs.replace(accepted.definition, accepts=accepted.definition.accepts[:1])
    log = drifted()
    log.stamped, log.version = accepted, 2
    log.serve(4_000, 4_100)
    log.stamped, log.version = Publication(shorter, accepted.baseline), 3
    log.serve(4_100, 4_200)
    fold = fold_of(publication(), accepted, log.stamped)

    told = folded(fold, log.records)

    closed = [event for event, _ in incidents(told) if event in CLOSING]
    assert closed == [ACCEPTED, ACCEPTED]
    assert watch_of(fold).rows_served == 200
    assert watch_of(fold).configuration_version == 3
