"""The shipped data sets: what is known of their drift, and twins of them in which nothing can drift."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from shared.events.alert import Incident, IncidentEvent, IncidentKind
from tests.kit.backtests import incidents, replayed
from tests.kit.shipped import baseline
from tests.truth.experiment import Case, Experiment, Measured
from tests.truth.twins import twin

SETS = ("bikes", "car_loan", "sea_abrupt")
TWINS = 10
CHANGE, CLOSE = 25_000, 50  # rows
MOVED = {"car_value", "score", "repaid_loan_on_prev_car", "loan_length", "salary_range"}
INSIDE = {"driver_tenure"}
UNSTEADY = {"bikes": {"temp", "atemp", "humidity", "prediction", "weather"}, "car_loan": set(), "sea_abrupt": set()}
DRIFT = {IncidentKind.DATA_DRIFT, IncidentKind.PREDICTION_DRIFT}


def _drifts(name: str) -> tuple[list[Incident], list[Incident]]:
    """Return the drift incidents of a set's backtest as they were opened, and as they were told last."""
    told = [(event, data) for event, data in incidents(list(replayed(name).alerts)) if DRIFT & set(data.kinds)]
    opened = [data for event, data in told if event is IncidentEvent.OPENED]
    return opened, list({data.incident_id: data for _, data in told}.values())


def car_loan() -> Measured:
    """Return what the backtest of car_loan says of its one drift."""
    opened, last = _drifts("car_loan")
    late = [data for data in last if data.detected.row >= CHANGE]
    named = {culprit.feature for data in late for culprit in data.culprits}
    inside = {culprit.feature for data in late for culprit in data.inside_segments}
    early = sum(data.detected.row < CHANGE for data in opened)
    error = late[0].onset.row - CHANGE if late else CHANGE
    figures = {
        "early": early,
        "right_culprits": len(named & MOVED),
        "wrong_culprits": len(named - MOVED),
        "onset_error": error,
    }
    return Measured(figures, not early and named == MOVED and inside == INSIDE and abs(error) <= CLOSE)


def sea_abrupt() -> Measured:
    """Return the drift incidents of a set whose inputs never move."""
    opened, _ = _drifts("sea_abrupt")
    return Measured({"drift_incidents": len(opened)}, not opened)


def unsteady() -> Measured:
    """Return which columns of the sets are called unsteady, against what is known."""
    right, wrong = 0, 0
    for name, expected in UNSTEADY.items():
        found = baseline(name)
        said = {
            column.name
            for place, column in enumerate(found.columns)
            if found.arming.why_not(place, 0).startswith(("unsteady", "season-bound"))
        }
        right, wrong = right + len(said & expected), wrong + len(said - expected)
    return Measured({"right": right, "wrong": wrong}, right == sum(map(len, UNSTEADY.values())) and not wrong)


def _twins(scale: float) -> Sequence[Case]:
    return [partial(twin, name, seed) for seed in range(max(round(TWINS * scale), 1)) for name in SETS]


def _judge_twins(found: list[tuple[int, int]], _: float) -> Measured:
    drifts, losses = sum(drift for drift, _ in found), sum(loss for _, loss in found)
    figures = {"drift_incidents": drifts, "error_incidents": losses, "twins": len(found)}
    return Measured(figures, not drifts and losses <= 1)


def _only(found: list[Measured], _: float) -> Measured:
    return found[0]


EXPERIMENTS = (
    Experiment(
        "permuted-twins",
        f"{TWINS} twins of each shipped set, rows permuted, clock kept: no drift incident, at most 1 of errors",
        _twins,
        _judge_twins,
    ),
    Experiment(
        "car-loan",
        f"exactly the five moved columns, driver_tenure in segments only, onset within {CLOSE} rows, nothing before",
        lambda _: [car_loan],
        _only,
    ),
    Experiment("sea-abrupt", "a pure concept drift opens no drift incident", lambda _: [sea_abrupt], _only),
    Experiment(
        "unsteady", "bikes: five columns are unsteady; car_loan and sea_abrupt: none", lambda _: [unsteady], _only
    ),
)
