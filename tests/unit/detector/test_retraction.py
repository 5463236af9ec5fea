"""Labels that undo what an incident of performance rests on."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.performance.evidence import UNDONE, Evidence, Hypothesis
from shared.events.alert import Incident, IncidentEvent
from tests.kit.traffic import Log, fold_of, folded, incidents, rows

OPENED, UPDATED, RESOLVED, RETRACTED = (
    IncidentEvent.OPENED,
    IncidentEvent.UPDATED,
    IncidentEvent.RESOLVED,
    IncidentEvent.RETRACTED,
)
WRONG = slice(2_000, 2_600)


def mislabelled(stop: int = 2_600) -> tuple[Log, np.ndarray]:
    """Return a log in which labels of 600 rows were turned round, and the labels as they should have been."""
    table = rows(4_000)
    truth = table["label"].to_numpy()
    told = truth.copy()
    told[WRONG] = 1 - told[WRONG]
    log = Log(table)
    log.relabel(told)
    log.serve(0, 4_000)
    log.label(0, stop)
    return log, truth


def correct(log: Log, truth: np.ndarray, first: int, last: int) -> None:
    """Correct the labels of some rows."""
    log.relabel(truth)
    for row in range(first, last):
        log.label(row, row + 1, replaced=str(1 - truth[row]))


def told(log: Log) -> list[tuple[IncidentEvent, Incident]]:
    return incidents(folded(fold_of(), log.records))


def test_labels_that_are_corrected_retract_the_incident_that_rested_on_them() -> None:
    log, truth = mislabelled()
    correct(log, truth, 2_000, 2_600)

    found = told(log)

    assert [found[0][0], found[-1][0]] == [OPENED, RETRACTED]
    assert [event for event, _ in found].count(OPENED) == 1
    assert len({data.incident_id for _, data in found}) == 1


def test_a_loss_of_which_a_few_labels_are_corrected_stays_open() -> None:
    log, truth = mislabelled()
    correct(log, truth, 2_000, 2_005)

    assert RETRACTED not in [event for event, _ in told(log)]


def test_late_labels_of_the_same_predictions_that_show_no_loss_retract_it() -> None:
    table = rows(4_000, error_rate=0.0)
    label = table["label"].to_numpy().copy()
    label[::10] = 1 - label[::10]
    log = Log(table)
    log.relabel(label)
    log.serve(0, 4_000)
    log.label(0, 2_000)
    wrong = list(range(2_000, 2_200, 10))
    for row in (*wrong, *(row for row in range(2_000, 2_200) if row not in wrong)):
        log.label(row, row + 1)

    events = [event for event, _ in told(log)]

    assert [events[0], events[-1]] == [OPENED, RETRACTED]
    assert events.count(OPENED) == 1


@pytest.mark.parametrize(("is_corrected", "events"), [(False, [OPENED]), (True, [])])
def test_labels_that_were_taken_back_do_not_help_the_next_alarm(
    is_corrected: bool, events: list[IncidentEvent]
) -> None:
    log = Log(rows(3_000))
    right, wrong = log.table["prediction"].to_numpy(), 1 - log.table["prediction"].to_numpy()
    log.serve(0, 3_000)
    log.label(0, 1_000)
    log.relabel(wrong)
    log.label(2_000, 2_004)
    if is_corrected:
        log.relabel(right)
        for row in range(2_000, 2_004):
            log.label(row, row + 1, replaced=str(wrong[row]))
    log.relabel(wrong)
    log.label(2_010, 2_014)

    assert [event for event, _ in told(log)][:1] == events


def test_a_taken_back_flag_leaves_the_statistic_of_the_other_one() -> None:
    bank = BernoulliCusumBank.for_increase(np.array([0.1]), np.array([50.0]))
    without = BernoulliCusumBank.for_increase(np.array([0.1]), np.array([50.0]))
    bank.update(np.array([[1.0], [1.0], [1.0]]))
    without.update(np.array([[1.0], [0.0], [1.0]]))

    bank.take_back(0, 1, 0, flag=1.0, instead=0.0)  # the second of three

    assert bank.snapshot()["statistic"] == pytest.approx(without.snapshot()["statistic"])
    assert bank.snapshot()["ones"] == pytest.approx(without.snapshot()["ones"])


def test_a_flag_from_before_the_last_zero_has_nothing_left_to_take_back() -> None:
    bank = BernoulliCusumBank.for_increase(np.array([0.1]), np.array([50.0]))
    bank.update(np.concatenate([[1.0], np.zeros(200), [1.0]])[:, None])
    before = bank.snapshot()

    bank.take_back(0, 201, 0, flag=1.0, instead=np.nan)

    assert all(np.array_equal(np.asarray(before[name]), np.asarray(values)) for name, values in bank.snapshot().items())


def test_evidence_is_undone_when_chance_would_leave_as_much() -> None:
    hypothesis = Hypothesis(0, [0.1], [0.5])
    strong, weak = Evidence(hypothesis, 100, 102, 5, 9), Evidence(hypothesis, 100, 102, 5, 9)
    strong.rest_on(15.0)
    weak.rest_on(2.0)

    assert (strong.undone_below, weak.undone_below) == (UNDONE, 2.0 - UNDONE)
    held = strong.holds(np.array([0, 1, 2, 3, 101]), np.array([4, 5, 9, 10, 4]))
    assert held.tolist() == [False, True, True, False, True]
    assert not strong.is_undone
    assert msgspec.structs.replace(strong, total=2.9).is_undone
