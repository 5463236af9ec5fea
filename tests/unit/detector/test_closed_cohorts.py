"""Monitors of closed cohorts: readings of pools against outside references, sums over them, and what is left out."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from services.detector.baseline_build import build_baseline
from services.detector.incidents.culprits import since_onset
from services.detector.incidents.incident import OpenIncident
from services.detector.performance.closed.cusum import SLACK, SURE, Side, WayBack
from services.detector.performance.closed.pool import Pool, Reading, readings
from services.detector.performance.closed.reference import AUC, CALIBRATION, ClosedReference
from services.detector.performance.closed.watch import ClosedCohort, ClosedWatch, Fall
from services.detector.performance.score_bins import score_edges
from services.detector.performance.score_counts import EXACT, ScoreCounts
from services.detector.structs import FloatArray, IntArray
from shared.events.alert import IncidentKind, Place, Severity
from tests.kit.references import hours, loans, spec
from tests.truth.scores import as_scored, prepared, scored, too_sure
from tests.truth.watching import Prepared

LABELS = 1_000
NOTHING = np.zeros((1, 2), np.int64)


@cache
def model(*, is_sure: bool = False) -> Prepared:
    return prepared(3, too_sure if is_sure else as_scored)


def reference(*, is_sure: bool = False) -> ClosedReference:
    performance = model(is_sure=is_sure).baseline.performance
    assert performance is not None
    assert performance.closed is not None
    return performance.closed


def labelled(seed: int, *, is_sure: bool = False) -> tuple[FloatArray, IntArray]:
    rng = np.random.default_rng(seed)
    scores = scored(rng, LABELS)
    return scores, (too_sure if is_sure else as_scored)(rng, scores)


def counts(scores: FloatArray, truths: IntArray) -> IntArray:
    edges = score_edges(model().baseline, (1,))[0]
    found = np.zeros((EXACT, 2), np.int64)
    np.add.at(found, (np.searchsorted(edges, scores), truths), 1)
    return found


def cohort(number: int, seed: int, *, predicted: int = LABELS) -> ClosedCohort:
    return ClosedCohort(0, number * 1_000, number * 1_000 + 999, predicted, counts(*labelled(seed)), LABELS)


def watch() -> ClosedWatch:
    return ClosedWatch(model().baseline, reference(), 0.01)


def test_an_area_in_bins_is_scikit_learns_of_the_same_bins() -> None:
    scores, truths = labelled(1)
    bins = np.searchsorted(score_edges(model().baseline, (1,))[0], scores)

    found = readings(counts(scores, truths), reference())[AUC]

    assert found.value == pytest.approx(roc_auc_score(truths, bins), abs=1e-12)


def test_areas_of_pools_like_the_reference_scatter_as_their_errors_say() -> None:
    found = [readings(counts(*labelled(seed)), reference()) for seed in range(300)]

    for monitor, usual in ((AUC, reference().area), (CALIBRATION, 0.0)):
        off = [(one[monitor].value - usual) / one[monitor].error for one in found]
        assert np.std(off) == pytest.approx(1.0, abs=0.12)
        assert np.mean(off) == pytest.approx(0.0, abs=0.25)


def test_calibration_is_the_mean_of_labels_less_what_their_scores_meant() -> None:
    scores, truths = labelled(2)
    of_row = np.searchsorted(
        reference().group_ends, np.searchsorted(score_edges(model().baseline, (1,))[0], scores), "right"
    )
    shares = (np.array(reference().group_positives) + 0.5) / (np.array(reference().group_labels) + 1.0)

    found = readings(counts(scores, truths), reference())[CALIBRATION]

    assert found.value == pytest.approx(np.mean(truths - shares[of_row]), abs=1e-12)
    assert found.error == pytest.approx(np.sqrt(np.sum((shares * (1 - shares))[of_row])) / LABELS, abs=1e-12)


def test_a_model_that_was_never_calibrated_is_compared_with_itself() -> None:
    of_sure = readings(counts(*labelled(4, is_sure=True)), reference(is_sure=True))[CALIBRATION]
    of_other = readings(counts(*labelled(4, is_sure=True)), reference())[CALIBRATION]

    assert abs(of_sure.value) < 2 * of_sure.error
    assert abs(of_other.value) > 3 * of_other.error
    assert reference(is_sure=True).reasons == {AUC: "", CALIBRATION: ""}


def test_groups_hold_a_twentieth_of_the_labels_each() -> None:
    found = reference()

    assert 15 <= len(found.group_labels) <= 20
    assert min(found.group_labels) >= found.labels / 20
    assert sum(found.group_labels) == found.labels == 100_000
    assert len(found.group_names) == len(found.group_labels) == len(found.group_ends) + 1


def test_pools_wait_for_fifty_labels_of_each_class() -> None:
    pool, part = Pool(), np.zeros((EXACT, 2), np.int64)
    part[3] = [100, 25]

    pool.add(part, 0, 999)
    is_full_at_first = pool.is_full
    pool.add(part, 1_000, 1_999)

    assert not is_full_at_first
    assert pool.is_full
    assert (pool.first_row, pool.last_row, pool.labels) == (0, 1_999, 250)


def test_a_sum_takes_errors_off_the_reference_less_slack_and_the_references_own_errors() -> None:
    side, reading = Side.of(1), Reading(0.7, 0.02, 0.005)

    side.add(0.1, reading, 1.0, NOTHING, 5_000)
    once = side.statistic
    side.add(0.1, reading, 2.0, NOTHING, 6_000)

    assert once == pytest.approx((0.1 - SURE * 0.005) / 0.02 - SLACK)
    assert side.statistic - once == pytest.approx((0.1 - SURE * 0.005) / 0.04 - SLACK)
    assert side.first_row == 5_000
    assert side.mean == pytest.approx(0.7)


def test_a_sum_that_falls_to_zero_begins_anew() -> None:
    side = Side.of(1)
    side.add(0.1, Reading(0.7, 0.02, 0.0), 1.0, NOTHING, 5_000)

    side.add(-0.3, Reading(1.0, 0.02, 0.0), 1.0, NOTHING, 6_000)

    assert (side.statistic, side.first_row, side.weight) == (0.0, -1, 0.0)


def test_a_monitor_is_back_after_three_pools_that_are_as_the_reference() -> None:
    back, good, bad = WayBack(0.7, 0.8, 9_999), Reading(0.8, 0.02, 0.0), Reading(0.7, 0.02, 0.0)

    before = back.is_back(good, 1.0, 9_000)
    found = [back.is_back(one, 1.0, 10_000 + 1_000 * n) for n, one in enumerate((bad, good, good, good))]

    assert not before
    assert found == [False, False, False, True]


def test_the_gate_is_a_hundredth_or_fifteen_percent_of_what_there_is_to_lose() -> None:
    found = reference()
    nearly_perfect = msgspec.structs.replace(found, area=0.98)

    assert found.gate(AUC) == 0.01
    assert nearly_perfect.gate(AUC) == pytest.approx(0.003)
    assert found.threshold(AUC, -1.0) == pytest.approx(found.area - 0.01)


def test_a_cohort_with_under_half_of_the_usual_labels_is_left_out_and_said() -> None:
    of = watch()
    of.take(cohort(0, 5))

    of.take(cohort(1, 6, predicted=2_500))

    assert of.state.pool.labels == 0
    assert of.why_not[AUC] == "only 40% of the usual labels came of the newest closed cohort"


def test_fewer_labels_for_good_become_usual() -> None:
    of = watch()
    of.take(cohort(0, 5))

    for number in range(1, 30):
        of.take(cohort(number, 5 + number, predicted=4_000))

    assert of.why_not[AUC] == ""


def test_what_an_incident_has_told_of_is_not_told_again() -> None:
    of, at = watch(), Place(row=0, ts="2024-01-01T00:00:00.000Z", topic="predictions", partition=0, offset=0)
    culprit = since_onset("error", "lr_cusum", "rate", value=0.3, threshold=0.1, rows=200, onset=0, row=2_500)
    told = OpenIncident("i", [IncidentKind.PERFORMANCE_DEGRADATION], Severity.CRITICAL, at, at, {}, {"error": culprit})

    of.end(told, 2_700, is_undone=False)
    found = [one for number in range(6) for one in of.take(worse(number))]

    first = found[0]
    assert isinstance(first, Fall)
    assert first.onset_row == 3_000


def test_what_was_no_loss_is_told_again() -> None:
    of, at = watch(), Place(row=0, ts="2024-01-01T00:00:00.000Z", topic="predictions", partition=0, offset=0)
    told = OpenIncident("i", [IncidentKind.PERFORMANCE_DEGRADATION], Severity.CRITICAL, at, at, {}, {})

    of.end(told, 2_700, is_undone=True)

    assert of.state.told == []


def worse(number: int) -> ClosedCohort:
    scores, truths = labelled(50 + number)
    rng = np.random.default_rng(number)
    return ClosedCohort(
        0, number * 1_000, number * 1_000 + 999, LABELS, counts(scores, rng.permutation(truths)), LABELS
    )


def test_scores_that_rank_no_more_fire_with_their_labels_and_their_onset() -> None:
    of, found = watch(), []

    for number in range(3):
        found += of.take(worse(number))

    first = found[0]
    assert isinstance(first, Fall)
    assert (first.monitor, first.onset_row) == (AUC, 0)
    assert first.value == pytest.approx(0.5, abs=0.05)
    assert first.threshold == pytest.approx(reference().area - 0.01)


def test_a_thin_reference_does_not_page_and_says_so() -> None:
    performance = build_baseline("m", spec(), loans(400)).performance
    assert performance is not None
    assert performance.closed is not None
    positives = performance.closed.positives

    why = (
        f"reference is thin ({positives} positive and {400 - positives} negative labels with scores; needs 250 of each)"
    )
    assert performance.closed.reasons == {AUC: why, CALIBRATION: why}


def test_scores_that_rank_now_and_then_in_the_reference_are_unsteady() -> None:
    table = loans(20_000)
    label = np.where(np.arange(20_000) < 10_000, table["label"].to_numpy(), 1 - table["prediction"].to_numpy())
    wandering = table.set_column(table.schema.get_field_index("label"), "label", pa.array(label))

    performance = build_baseline("m", spec(), wandering).performance

    assert performance is not None
    assert performance.closed is not None
    assert performance.closed.reasons[AUC].startswith("unsteady: its own cohorts scatter ")


def test_scores_that_get_worse_at_the_end_of_the_reference_alarm_on_it() -> None:
    rng = np.random.default_rng(12)
    scores = scored(rng, 100_000)
    table = pa.table(
        {
            "ts": hours(100_000),
            "prediction": (scores > 0.5).astype(np.int64),
            "score": scores,
            "label": np.where(np.arange(100_000) < 90_000, as_scored(rng, scores), as_scored(rng, 0.9 * scores + 0.05)),
        }
    )

    performance = build_baseline("m", spec(), table).performance

    assert performance is not None
    assert performance.closed is not None
    assert performance.closed.scatter[AUC] < 2.0
    assert performance.closed.reasons[AUC] == "unsteady: alarms on the reference itself"


def test_scores_that_are_told_apart_and_scores_in_bins_give_the_same_bins() -> None:
    edges = np.sort(np.random.default_rng(8).random(EXACT - 1))[np.newaxis]
    rng = np.random.default_rng(9)
    scores, truths = rng.random((700, 1)), rng.integers(0, 2, (700, 1)).astype(np.float64)
    expected = np.zeros((EXACT, 2), np.int64)
    np.add.at(expected, (np.searchsorted(edges[0], scores[:, 0]), truths[:, 0].astype(np.int64)), 1)

    found = []
    for most in (EXACT, 1 << 20):
        tables = ScoreCounts.of(1)
        slot = tables.take()
        tables.add(np.full(700, slot), np.arange(700), scores, truths, edges, most, 1)
        found.append(tables.binned(slot, 0, edges[0]))

    assert (found[0] == expected).all()
    assert (found[1] == expected).all()
