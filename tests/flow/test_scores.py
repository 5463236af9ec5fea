"""Scores that rank worse, or mean something else, page once, though as many predictions are right as before."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pytest

from services.cli.verify.recount import recount
from services.detector.performance.closed.reference import AUC, CALIBRATION
from shared.events.alert import IncidentEvent
from tests.truth.scores import Fed, Truth, as_scored, blurred, more, prepared, scored, too_sure
from tests.truth.watching import Prepared

PER_DAY, BEFORE, DAYS = 10_000, 2, 6


@cache
def model(truth: Truth = as_scored) -> Prepared:
    return prepared(1, truth)


@cache
def fed(truth: Truth, days: int = DAYS, *, cut: int = 2_000, is_restored: bool = False) -> Fed:
    found = Fed(model().watch(), np.random.default_rng(5))
    for day in range(days):
        found.day(truth if day >= BEFORE else as_scored, scored(found.rng, PER_DAY), cut)
        if is_restored:
            pages, latest = found.watched.pages, found.watched.latest
            found.watched = found.watched.fork()
            found.watched.pages, found.watched.latest = pages, latest
    return found


@pytest.mark.parametrize(("truth", "monitor"), [(blurred, AUC), (more, CALIBRATION)])
def test_a_change_that_no_error_shows_is_one_page(truth: Truth, monitor: str) -> None:
    (page,) = fed(truth).losses

    (culprit,) = page.culprits
    assert (culprit.feature, culprit.detector) == (monitor, "cohort_cusum")
    assert abs(page.onset.row - BEFORE * PER_DAY) <= 3_000
    assert page.chance_per_week < 0.02


@pytest.mark.parametrize("truth", [as_scored, too_sure])
def test_a_model_that_is_as_it_was_does_not_page(truth: Truth) -> None:
    found = Fed(model(truth).watch(), np.random.default_rng(6))

    for _ in range(DAYS):
        found.day(truth, scored(found.rng, PER_DAY))

    assert found.losses == []


def test_what_is_told_of_calibration_follows_from_the_record_and_the_baseline() -> None:
    (page,) = fed(more).losses

    numbers = recount(IncidentEvent.OPENED, page, None, model().baseline)

    assert [number for number in numbers if number.differs] == []
    assert {number.name for number in numbers if number.of.startswith(CALIBRATION) and not number.needs} == {
        "events",
        "value (calibration)",
        "noise_floor",
        "threshold",
    }


def test_a_wrong_number_of_calibration_is_named() -> None:
    (page,) = fed(more).losses
    wrong = msgspec.structs.replace(page.culprits[0], value=0.2)

    numbers = recount(IncidentEvent.OPENED, msgspec.structs.replace(page, culprits=[wrong]), None, model().baseline)

    assert [number.name for number in numbers if number.differs] == ["value (calibration)"]


def test_the_threshold_of_an_area_follows_from_the_baseline() -> None:
    (page,) = fed(blurred).losses

    numbers = recount(IncidentEvent.OPENED, page, None, model().baseline)

    of_area = {number.name: number for number in numbers if number.of.startswith(AUC)}
    assert (of_area["threshold"].differs, of_area["threshold"].needs) == (False, "")
    assert of_area["value (roc_auc)"].needs == "the fold of the log"


def test_an_incident_resolves_when_scores_rank_again() -> None:
    found = fed.__wrapped__(blurred)
    for _ in range(3):
        found.day(as_scored, scored(found.rng, PER_DAY))

    assert found.watched.events[IncidentEvent.RESOLVED] == 1
    assert not found.watched.is_open


@pytest.mark.parametrize("cut", [97, 450])
def test_how_rows_are_cut_into_blocks_changes_nothing(cut: int) -> None:
    assert told(fed(blurred, 5, cut=cut)) == told(fed(blurred, 5))


def test_a_fold_goes_on_from_its_checkpoint_between_cohorts() -> None:
    assert told(fed(blurred, 5, is_restored=True)) == told(fed(blurred, 5))


def told(found: Fed) -> list[tuple[int, int, float]]:
    return [(page.onset.row, page.detected.row, page.culprits[0].value) for page in found.losses]
