"""What the product says of data whose drift is known: when it opens an incident, and whom it names."""

from __future__ import annotations

from services.detector.baseline import Baseline
from shared.events.alert import Incident, IncidentEvent, IncidentKind, LossCause, Severity
from tests.kit.backtests import incidents, replayed
from tests.kit.shipped import baseline

DRIFT = {IncidentKind.DATA_DRIFT, IncidentKind.PREDICTION_DRIFT}
LOSS = {IncidentKind.PERFORMANCE_DEGRADATION, IncidentKind.CONCEPT_DRIFT}


def opened(name: str) -> list[Incident]:
    return [data for event, data in incidents(list(replayed(name).alerts)) if event is IncidentEvent.OPENED]


def last_states(name: str) -> list[Incident]:
    return list({data.incident_id: data for _, data in incidents(list(replayed(name).alerts))}.values())


def unsteady(found: Baseline) -> set[str]:
    return {
        column.name
        for place, column in enumerate(found.columns)
        if found.arming.why_not(place, 0).startswith("unsteady")
    }


def test_car_loan_opens_nothing_before_its_drift_and_an_incident_within_2000_rows_of_it() -> None:
    first = min(opened("car_loan"), key=lambda incident: incident.detected.row)

    assert 25_000 <= first.detected.row <= 27_000
    assert abs(first.onset.row - 25_000) <= 50
    assert set(first.kinds) <= DRIFT
    assert first.severity is Severity.WARNING


def test_car_loans_loss_began_with_its_drift() -> None:
    (loss,) = (incident for incident in opened("car_loan") if set(incident.kinds) <= LOSS)

    assert abs(loss.onset.row - 25_000) <= 100
    assert loss.onset.row <= loss.detected.row


def test_car_loans_loss_is_harder_loans_and_no_worse_model() -> None:
    (loss,) = (incident for incident in opened("car_loan") if set(incident.kinds) <= LOSS)
    (by_score,) = loss.loss_parts

    assert (loss.kinds, by_score.verdict) == ([IncidentKind.PERFORMANCE_DEGRADATION], LossCause.COVARIATE)
    assert by_score.x_part > 0.8 * (by_score.loss - by_score.reference_loss)
    assert loss.cause == (
        "labels show a loss: error; the model is as good as before at each score; the mix of scores moved"
    )


def test_car_loan_names_exactly_the_columns_that_moved() -> None:
    (drift,) = (incident for incident in last_states("car_loan") if set(incident.kinds) <= DRIFT)

    assert {culprit.feature for culprit in drift.culprits} == {
        "car_value",
        "loan_length",
        "repaid_loan_on_prev_car",
        "salary_range",
        "score",
    }
    assert {culprit.segment for culprit in drift.culprits} == {"all"}
    assert {culprit.feature for culprit in drift.inside_segments} == {"driver_tenure"}
    assert "repaid_before=yes" in {culprit.segment for culprit in drift.inside_segments}


def test_car_loan_names_them_once_the_window_after_the_onset_is_closed() -> None:
    events = [(event, data) for event, data in incidents(list(replayed("car_loan").alerts)) if set(data.kinds) <= DRIFT]

    complete = next(data for event, data in events if event is IncidentEvent.UPDATED and len(data.culprits) == 5)

    assert max(culprit.window_end_row for culprit in complete.culprits) == 25_999


def test_a_pure_concept_drift_is_a_loss_and_never_a_drift_of_inputs() -> None:
    found = opened("sea_abrupt")

    assert {incident.kind for incident in found} == {IncidentKind.CONCEPT_DRIFT}
    assert all(set(incident.kinds) == LOSS for incident in found)
    assert abs(found[0].loss_parts[0].x_part) < 0.1 * found[0].loss_parts[0].rest
    assert 5_000 <= found[0].detected.row <= 7_500
    assert abs(found[0].onset.row - 5_000) <= 100
    assert found[0].severity is Severity.CRITICAL


def test_each_change_of_the_concept_has_its_own_onset() -> None:
    (loss,) = last_states("sea_abrupt")
    second, third = loss.later_onsets

    assert abs(second.row - 20_000) <= 100
    assert abs(third.row - 35_000) <= 700


def test_each_change_of_a_pure_concept_drift_is_told_by_2500_labels_and_parted_on_its_own() -> None:
    events = [data for _, data in incidents(list(replayed("sea_abrupt").alerts))]
    told = [next(data for data in events if len(data.later_onsets) == later) for later in range(3)]

    for data, change in zip(told, (5_000, 20_000, 35_000), strict=True):
        (by_score,) = data.loss_parts
        assert (data.kind, by_score.verdict) == (IncidentKind.CONCEPT_DRIFT, LossCause.CONCEPT)
        assert sum(part.labels for part in by_score.bins) < 2_500
        assert data.onset.row + data.rows_affected < change + 3_500  # labels follow their predictions by minutes


def test_bikes_degrade_and_their_seasons_do_not_page() -> None:
    assert unsteady(baseline("bikes")) == {"temp", "atemp", "humidity", "prediction", "weather"}
    (incident,) = opened("bikes")
    assert set(incident.kinds) == LOSS


def test_nothing_is_unsteady_on_the_steady_sets() -> None:
    assert unsteady(baseline("car_loan")) == set()
    assert unsteady(baseline("sea_abrupt")) == set()
