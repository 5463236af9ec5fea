"""How long labels take, and losses that are not told while labels are missing."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.performance.label_delays import EDGES_MS, MEMORY, MOST_COHORTS, Arrivals, LabelDelays
from services.detector.structs import decode_struct, encode_struct
from shared.events.alert import IncidentEvent, Unwatched
from tests.kit.references import HOUR_MS
from tests.kit.traffic import START_MS, Log, fold_of, folded, incidents, rows, watch_of

DAY_MS = 86_400_000


def delays(*, final: int = 3, labelled: int = 900, after_ms: int = DAY_MS) -> LabelDelays:
    """Return delays of cohorts of 1,000 of whose predictions most are labelled after a day."""
    found = LabelDelays()
    for cohort in range(final):
        found.add(np.full(labelled, cohort), np.full(labelled, after_ms))
        found.finish(cohort, 1_000)
    return found


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_quantiles_of_delays_are_within_a_bin_of_the_truth(share: float) -> None:
    ages = np.random.default_rng(3).gamma(5.0, DAY_MS, 20_000).astype(np.int64)
    found = LabelDelays()
    found.add(np.zeros(len(ages), np.int64), ages)

    seconds = found.quantile_seconds(0, share)

    assert seconds == pytest.approx(np.quantile(ages, share) / 1_000, rel=0.1)
    assert found.quantile_seconds(1, share) is None


def test_nothing_is_usual_before_a_cohort_is_final() -> None:
    assert delays(final=0).share_of_usual([(0, 1_000, 0)], 2 * DAY_MS) is None


def test_labels_are_missing_where_fewer_have_come_than_usually_have_by_that_age() -> None:
    found = delays()
    found.add(np.full(300, 7), np.full(300, DAY_MS))

    assert found.share_of_usual([(7, 1_000, 0)], 3 * DAY_MS) == pytest.approx(300 / 900)
    assert found.share_of_usual([(7, 1_000, 0)], DAY_MS // 2) is None  # none are due yet
    assert found.share_of_usual([(7, 1_000, 0), (8, 1_000, 3 * DAY_MS)], 3 * DAY_MS) == pytest.approx(300 / 900)


def test_labels_beyond_the_last_edge_and_of_no_cohort_are_no_trouble() -> None:
    found = LabelDelays()
    found.add(np.array([0, -1]), np.array([2 * int(EDGES_MS[-1]), 5]))

    assert found.quantile_seconds(0, 0.5) == pytest.approx(float(EDGES_MS[-1]) / 1_000)
    assert list(found.ages) == [0]


def test_what_is_kept_is_bounded_and_survives_a_checkpoint() -> None:
    found = LabelDelays()
    for cohort in range(MOST_COHORTS + 5):
        found.add(np.array([cohort]), np.array([DAY_MS]))
    found.finish(10, MEMORY)
    found.finish(11, 1_000)

    assert (len(found.ages), min(found.ages)) == (MOST_COHORTS, 5)
    assert found.usual_predicted == MEMORY // 2 + 1_000
    kept = encode_struct(found)
    assert encode_struct(decode_struct(kept, LabelDelays)) == kept


def test_a_block_is_counted_once_however_far_it_was_asked_for() -> None:
    found = LabelDelays()
    arrivals = Arrivals(found, np.zeros(10, np.int64), np.full(10, DAY_MS))
    for upto in (3, 2, 7, 10):
        arrivals.count(upto)

    assert found.ages[0].sum() == 10


# The reference's scores are no good: the sums of its own cohorts alarm.
OF_SCORES = dict.fromkeys(("roc_auc", "calibration"), "unsteady: alarms on the reference itself")


def labelled_in_part(every: int) -> Log:
    """Return a log of 2,000 rows that are labelled and final, and of 1,700 of which some are; the last are wrong."""
    log = Log(rows(3_700))
    log.serve(0, 2_000)
    log.label(0, 2_000)
    log.tick(after_ms=3_700 * HOUR_MS)
    log.serve(2_000, 3_700)
    predicted = log.table["prediction"].to_numpy()
    log.relabel(np.where(np.arange(3_700) < 3_000, predicted, 1 - predicted))
    for first in range(2_000, 3_700, 20):
        log.label(first, first + every)
    return log


def test_a_loss_is_not_told_while_fewer_than_half_of_the_usual_labels_come() -> None:
    said, not_watched = {}, {}
    for every in (5, 20):
        fold = fold_of()
        said[every] = [event for event, _ in incidents(folded(fold, labelled_in_part(every).records))]
        not_watched[every] = watch_of(fold).not_watched()[Unwatched.PERFORMANCE]

    assert said[5] == []
    assert not_watched[5] == OF_SCORES | {"errors": "only 25% of the usual number of labels have come"}
    assert said[20][0] is IncidentEvent.OPENED
    assert not_watched[20] == OF_SCORES


def test_a_cohort_says_how_long_its_labels_took() -> None:
    fold = fold_of()
    folded(fold, labelled_in_part(5).records)

    found = {row.segment: row for row in watch_of(fold).cohort_rows(START_MS) if row.cohort_start_row == 0}

    assert found["all"].label_delay_p50 == pytest.approx(0.5)
    assert found["channel=web"].label_delay_p50 is None
