"""An open incident becomes the new normal, and what cannot is refused with the reason."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pytest

from services.cli import acceptance
from services.cli.acceptance import MAX_ACCEPTANCES, MAX_REASON_CHARS, Accepted
from services.cli.log_baseline import Refused
from services.cli.publication import Publication
from services.detector.baseline import Baseline, decode
from shared.definition import Acceptance, ServedRows
from shared.events.alert import Incident, IncidentEvent
from shared.log import TopicPartition
from shared.values import format_ts, parse_ts
from tests.kit.accepting import SAID_MS, Watched
from tests.kit.references import HOUR_MS
from tests.kit.traffic import MODEL, START_MS, rows

DRIFT_AT = 2_000
TABLE = rows(16_000, drift_at=DRIFT_AT)
LOSING = rows(6_000, error_rate=0.4)


def drifted(stop: int = 13_000) -> tuple[Watched, Incident]:
    """Return a model whose inputs have changed, and its open incident."""
    watched = Watched(TABLE)
    watched.serve(0, stop)
    (incident,) = watched.open()
    return watched, incident


def losing(labels: int = 3_000) -> tuple[Watched, Incident]:
    """Return a model that errs more often than on its reference, and its open incident."""
    watched = Watched(LOSING)
    watched.serve(0, 3_000)
    watched.label(0, labels)
    (incident,) = watched.open()
    return watched, incident


@cache
def accepted(*columns: str) -> tuple[Accepted, Incident]:
    watched, incident = drifted()
    return watched.accept(incident.incident_id, *columns), incident


def counts(baseline: Baseline, name: str) -> list[list[int]]:
    found: list[list[int]] = next(one.counts.tolist() for one in baseline.columns if one.name == name)
    return found


def test_the_definition_says_what_it_accepts_why_when_and_from_which_rows() -> None:
    found, incident = accepted()
    definition = found.publication.definition
    onset = parse_ts(incident.onset.ts)

    assert definition.accepts == [
        Acceptance(incident_id=incident.incident_id, reason="the EU launch", at=format_ts(SAID_MS))
    ]
    assert definition.built_from == ServedRows(
        since=incident.onset.ts,
        until=format_ts(START_MS + 12_999 * HOUR_MS),
        rows=13_000 - (onset - START_MS) // HOUR_MS,
        model_version="v1",
        part="columns",
    )
    assert definition.follows == incident.configuration_hash
    assert definition.spec == drifted()[0].log.stamped.definition.spec


def test_the_new_baseline_is_of_the_rows_since_the_onset() -> None:
    found, incident = accepted()

    assert found.baseline.rows == 13_000 - incident.onset.row
    assert found.baseline.start_ms == parse_ts(incident.onset.ts)
    (amount,) = (one for one in found.baseline.columns if one.name == "amount")
    (before,) = (one for one in found.before.columns if one.name == "amount")
    assert amount.median / before.median == pytest.approx(10, rel=0.1)
    assert found.disarmed == {}


def test_the_performance_of_the_reference_stays_when_a_drift_is_accepted() -> None:
    found, _ = accepted()
    now, before = found.baseline.performance, found.before.performance

    assert now is not None
    assert before is not None
    assert (now.accuracy, [m.p0 for m in now.monitors]) == (before.accuracy, [m.p0 for m in before.monitors])
    assert now.rows / found.baseline.rows == pytest.approx(before.rows / found.before.rows, abs=1e-4)


def test_only_the_named_columns_are_replaced() -> None:
    found, incident = accepted("amount")
    whole, _ = accepted()
    old, new = found.before, found.baseline

    assert counts(new, "amount") == counts(whole.baseline, "amount")
    assert [one.name for one in new.columns if counts(new, one.name) != counts(old, one.name)] == ["amount"]
    assert (new.rows, new.cells, new.cell_rows.tolist()) == (old.rows, old.cells, old.cell_rows.tolist())
    assert found.rows.columns == ["amount"]
    assert found.publication.definition.accepts[0].incident_id == incident.incident_id


def test_the_higher_of_the_two_rates_is_reckoned_with() -> None:
    found, _ = accepted()

    assert found.before.rows_per_week is not None
    assert found.baseline.rows_per_week == pytest.approx(max(found.before.rows_per_week, 168), rel=1e-3)


def test_what_was_accepted_before_is_accepted_still() -> None:
    watched, incident = drifted()
    first = watched.accept(incident.incident_id, "amount").publication
    known = [Acceptance(incident_id=f"i{n}", reason="r", at=format_ts(n)) for n in range(MAX_ACCEPTANCES)]
    watched.publish(first.telling(first.definition.built_from or accepted()[0].rows, known, first.definition.hash))

    definition = watched.accept(incident.incident_id).publication.definition

    assert [one.incident_id for one in definition.accepts] == [
        *(f"i{n}" for n in range(1, MAX_ACCEPTANCES)),
        incident.incident_id,
    ]


def test_a_loss_that_is_accepted_replaces_the_performance_and_nothing_else() -> None:
    watched, incident = losing()

    found = watched.accept(incident.incident_id)

    now, before = found.baseline.performance, found.before.performance
    assert now is not None
    assert before is not None
    assert [before.accuracy, now.accuracy] == pytest.approx([0.9, 0.6], abs=0.02)
    assert all(m.threshold >= b.threshold for m, b in zip(now.monitors, before.monitors, strict=True))
    assert all(
        np.array_equal(a.counts, b.counts) for a, b in zip(found.baseline.columns, found.before.columns, strict=True)
    )
    assert found.rows.part == "performance"


def test_after_a_loss_was_accepted_the_same_errors_are_no_incident() -> None:
    watched, incident = losing()
    watched.publish(watched.accept(incident.incident_id).publication)

    told = watched.serve(3_000, 6_000) + watched.label(3_000, 6_000)

    assert [(event, data.incident_id) for event, data in told] == [(IncidentEvent.ACCEPTED, incident.incident_id)]


@pytest.mark.parametrize("reason", ["", "  \n", "x" * (MAX_REASON_CHARS + 1)], ids=["empty", "blank", "long"])
def test_without_a_reason_nothing_is_accepted(reason: str) -> None:
    watched, incident = drifted(3_000)

    with pytest.raises(Refused, match="a reason of 1 to 500 characters"):
        watched.accept(incident.incident_id, reason=reason)


def test_an_incident_that_nobody_knows_is_refused() -> None:
    watched, _ = drifted(3_000)

    with pytest.raises(Refused, match="know no incident 'i0'"):
        watched.accept("i0")


def test_an_incident_that_is_closed_is_refused_with_how_it_ended() -> None:
    watched, incident = drifted()
    watched.publish(watched.accept(incident.incident_id).publication)
    watched.serve(13_000, 13_100)

    with pytest.raises(Refused, match=f"incident {incident.incident_id} is closed already: accepted at "):
        watched.accept(incident.incident_id)


def test_an_incident_that_waits_for_its_detector_is_not_accepted_twice() -> None:
    watched, incident = drifted()
    watched.publish(watched.accept(incident.incident_id).publication)

    with pytest.raises(Refused, match="is accepted already; it closes with the model's next rows"):
        watched.accept(incident.incident_id)


def test_too_few_rows_are_refused_with_their_number_and_how_many_are_needed() -> None:
    watched, incident = drifted(4_000)

    with pytest.raises(
        Refused, match=rf"^{4_000 - incident.onset.row:,} predictions of {MODEL} v1 since .*; 10,000 are needed"
    ):
        watched.accept(incident.incident_id)


def test_too_few_labels_are_refused_with_their_number_and_how_many_are_needed() -> None:
    watched, incident = losing(600)
    since = min(600, 600 - incident.onset.row)

    with pytest.raises(Refused, match=rf"^{since} predictions .* have a label; 1,000 are needed"):
        watched.accept(incident.incident_id)


def test_a_column_that_the_model_does_not_have_is_refused() -> None:
    watched, incident = drifted(3_000)

    with pytest.raises(Refused, match="loans has no column 'colour'; it has amount, term, region"):
        watched.accept(incident.incident_id, "amount", "colour")


def test_a_loss_is_not_accepted_by_column() -> None:
    watched, incident = losing()

    with pytest.raises(Refused, match="tells of labels, not of columns"):
        watched.accept(incident.incident_id, "amount")


def test_of_an_onset_that_retention_has_passed_the_rows_that_are_kept_are_taken() -> None:
    watched, incident = drifted(16_000)
    dropped = 2  # blocks of 2,000 rows
    watched.on.delete_records(TopicPartition(watched.topics.observations, 0), dropped)

    found = watched.accept(incident.incident_id)

    assert found.rows.since == format_ts(START_MS + dropped * 2_000 * HOUR_MS)
    assert found.rows.rows == 12_000


def test_undoing_returns_to_the_definition_before() -> None:
    watched, incident = drifted()
    first = watched.log.stamped
    watched.publish(watched.accept(incident.incident_id).publication)

    undone = acceptance.undone(watched.catalogue(), MODEL)

    assert undone.definition == first.definition
    assert decode(undone.baseline).hash == first.definition.baseline_hash


def test_a_baseline_of_the_reference_cannot_be_undone() -> None:
    watched, _ = drifted(3_000)

    with pytest.raises(Refused, match="the baseline of loans is that of its reference: there is nothing to undo"):
        watched.undo()


def test_nothing_of_an_unknown_model_can_be_undone() -> None:
    watched, _ = drifted(3_000)

    with pytest.raises(Refused, match="no definition of a model 'cars' is published; known: loans"):
        acceptance.undone(watched.catalogue(), "cars")


def test_undoing_keeps_what_was_configured_meanwhile() -> None:
    watched, incident = drifted()
    first = watched.log.stamped.definition
    found = watched.accept(incident.incident_id).publication
    later = msgspec.structs.replace(found.definition, spec=msgspec.structs.replace(first.spec, label_horizon="7d"))
    watched.publish(Publication(later, found.baseline))

    undone = acceptance.undone(watched.catalogue(), MODEL).definition

    assert (undone.spec.label_horizon, undone.baseline_hash) == ("7d", first.baseline_hash)


def test_a_drift_that_was_accepted_goes_on_unnoticed_until_it_is_undone() -> None:
    watched, incident = drifted()
    watched.publish(watched.accept(incident.incident_id).publication)
    quiet = watched.serve(13_000, 14_500)

    watched.undo()
    again = watched.serve(14_500, 16_000)

    assert [(event, data.incident_id, data.reason) for event, data in quiet] == [
        (IncidentEvent.ACCEPTED, incident.incident_id, "the EU launch")
    ]
    assert IncidentEvent.OPENED in [event for event, _ in again]
    (reopened,) = watched.open()
    assert {culprit.feature for culprit in reopened.culprits} == {"amount"}
    assert reopened.incident_id != incident.incident_id
