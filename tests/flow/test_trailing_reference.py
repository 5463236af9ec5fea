"""The recorded car loans with windows that are compared with the fourteen weeks before the last two."""

from __future__ import annotations

from functools import cache

import msgspec

from services.cli.backtest.lines import merged
from services.cli.backtest.run import run
from services.cli.publication import Publication
from services.detector.adapters.reference_file import read_reference
from services.detector.baseline_build import build_baseline
from shared.events.alert import Incident, IncidentEvent
from shared.reference import ReferenceSpec
from tests.kit.backtests import incidents
from tests.kit.shipped import SETS, model_spec

NAME, FOLDER = "car_loan", SETS / "car_loan"
MOVED = {"car_value", "loan_length", "repaid_loan_on_prev_car", "salary_range", "score"}


@cache
def told() -> tuple[tuple[IncidentEvent, Incident], ...]:
    reference = ReferenceSpec(file="reference.parquet", trailing="14w", lag="2w")
    spec = msgspec.structs.replace(model_spec(NAME), reference=reference)
    baseline = build_baseline(NAME, spec, read_reference(FOLDER / spec.reference_file, NAME))
    lines = merged(FOLDER / "predictions.jsonl.zst", FOLDER / "ground_truth.jsonl.zst")
    outcome = run(
        [Publication.of(NAME, spec, baseline)],
        lines,
        id_key="",
        code_version="test",
        report_rows=None,
        progress=lambda _: None,
    )
    return tuple(incidents(list(outcome.alerts)))


def test_nothing_is_told_before_the_drift_and_the_drift_within_2000_rows_of_it() -> None:
    opened = [data for event, data in told() if event is IncidentEvent.OPENED]

    assert 25_000 <= min(data.detected.row for data in opened) <= 27_000


def test_the_columns_that_moved_are_named_against_the_weeks_before() -> None:
    drift = [data for _, data in told() if data.kinds[0].value.endswith("drift")]
    culprits = {culprit.feature: culprit for data in drift for culprit in data.culprits}

    assert set(culprits) == MOVED
    trailing = [culprit for data in drift for culprit in data.culprits if culprit.detector == "psi_trailing"]
    assert {culprit.feature for culprit in trailing} == MOVED
    assert all(10_000 <= sum(part.reference_count for part in culprit.bins) <= 14 * 1_500 for culprit in trailing)
