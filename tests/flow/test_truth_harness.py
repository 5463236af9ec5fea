"""The experiments behind `make truth` run; what they find at full scale is theirs to say."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest

from shared.events.alert import IncidentKind
from tests.kit.alerts import incident
from tests.truth.catalogue import EXPERIMENTS
from tests.truth.experiment import Measured, pages_allowed
from tests.truth.shifts import mean_shift, one_category, spread
from tests.truth.streams import segment_of
from tests.truth.table import Report, row_of, table_of
from tests.truth.twins import is_of_errors

TINY = 0.001


def measured(name: str) -> Measured:
    experiment = EXPERIMENTS[name]
    return experiment.judge([case() for case in experiment.cases(TINY)], TINY)


def test_the_mean_of_many_levels_is_measured() -> None:
    found = measured("zipf-mean")

    assert abs(found.figures["mean"]) < 0.01
    assert found.figures["runs"] == 1


def test_a_fortnight_without_order_is_measured() -> None:
    assert measured("season-shuffled").figures == {"pages": 0}


def test_a_rise_that_is_never_found_is_printed_as_such() -> None:
    experiment = EXPERIMENTS["fraud-rate"]

    row = row_of(experiment, experiment.judge([float("inf")] * 3, TINY))
    report = Report(scale=TINY, seconds=1.0, holds=row.holds, experiments=[row])

    assert row.measured == {"found": 0, "runs": 3, "median": None}
    assert not row.holds
    assert table_of(report).row_count == 1


@pytest.mark.parametrize(
    ("kinds", "is_loss"),
    [
        (["performance_degradation"], True),
        (["concept_drift", "performance_degradation"], True),
        (["traffic_mix", "performance_degradation"], True),
        (["traffic_mix"], False),
        (["traffic_mix", "data_drift"], False),
        (["data_drift", "concept_drift"], False),
    ],
    ids=["a loss", "of concept", "of shares", "shares alone", "drift of shares", "drift of relations"],
)
def test_a_loss_is_counted_as_one_whatever_leads_it(kinds: list[str], is_loss: bool) -> None:
    assert is_of_errors(incident(kinds=[IncidentKind(kind) for kind in kinds])) is is_loss


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_case_runs_in_any_process(name: str) -> None:
    for case in EXPERIMENTS[name].cases(TINY):
        function: Any = case.func if isinstance(case, partial) else case
        assert "<" not in function.__qualname__


def test_shifts_have_the_psi_that_is_asked_for() -> None:
    shares = one_category(np.full(10, 0.1), 0.2)

    assert mean_shift(0.2) == pytest.approx(0.46, abs=0.01)
    assert spread(0.2) == pytest.approx(1.51, abs=0.01)
    assert shares.sum() == pytest.approx(1.0)
    assert ((shares - 0.1) * np.log(shares / 0.1)).sum() == pytest.approx(0.2)


def test_segments_are_even_and_follow_from_the_row() -> None:
    rows = np.arange(-50_000, 50_000)

    found = segment_of(rows, 20)

    assert np.bincount(found, minlength=20) / len(rows) == pytest.approx(0.05, abs=0.003)
    assert (found[10:20] == segment_of(rows[10:20], 20)).all()


def test_a_promise_covers_what_chance_brings() -> None:
    assert pages_allowed(2.0, 70.0) == 10
    assert pages_allowed(2.0, 0.001) == 0
