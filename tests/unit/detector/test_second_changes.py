"""Errors that rise again while an incident is open: a change with an onset of its own."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.detector.causes.watch import Cause
from services.detector.incidents.performance import APART, MAX_ONSETS, PerformanceIncidents
from services.detector.performance.reanchor import Cut, Reanchor
from services.detector.structs import FloatArray
from shared.events.alert import Culprit, Incident, IncidentEvent, IncidentKind, Place, Severity
from tests.kit.traffic import Log, fold_of, folded, incidents, rows

FIRST, SECOND = 2_000, 5_000
ROWS = 8_000


def flags(*parts: tuple[float, int]) -> FloatArray:
    rng = np.random.default_rng(5)
    return np.concatenate([rng.random(count) < rate for rate, count in parts]).astype(np.float64)[:, None]


def cuts(values: FloatArray, p0: list[list[float]], ages: np.ndarray | None = None, cut: int = 10_000) -> list[Cut]:
    watched = Reanchor(np.array(p0), np.array([True]))
    of_row = np.zeros(len(values), np.int64) if ages is None else ages
    found: list[Cut] = []
    for start in range(0, len(values), cut):
        part = watched.update(values[start : start + cut], of_row[start : start + cut])
        found += [Cut(one.row + start, one.place, one.labels) for one in part]
        state, watched = watched.snapshot(), Reanchor(np.array(p0), np.array([True]))
        watched.restore(state)
    return found


def test_errors_that_rise_are_found_and_errors_that_fall_are_not() -> None:
    assert [one.row // 1_000 for one in cuts(flags((0.2, 4_000), (0.5, 3_000)), [[0.1]])] == [4]
    assert cuts(flags((0.5, 4_000), (0.2, 3_000)), [[0.1]]) == []


def test_errors_of_late_labels_are_more_and_that_is_no_change() -> None:
    ages = np.repeat([0, 1], 4_000)
    values = flags((0.2, 4_000), (0.5, 4_000))

    assert cuts(values, [[0.2], [0.2]], ages) != []
    assert cuts(values, [[0.2], [0.5]], ages) == []


@pytest.mark.parametrize("cut", [1, 33, 1_000])
def test_how_labels_are_cut_and_when_they_are_kept_changes_nothing(cut: int) -> None:
    values = flags((0.2, 1_500), (0.5, 1_500))

    assert cuts(values, [[0.1]], cut=cut) == cuts(values, [[0.1]])


def test_errors_that_were_taken_back_are_no_part_of_a_second_change() -> None:
    found = {}
    for is_corrected in (False, True):
        watched = Reanchor(np.array([[0.1]]), np.array([True]))
        ages = np.zeros(3_000, np.int64)
        watched.update(flags((0.2, 3_000)), ages)
        cuts_of = watched.update(np.ones((30, 1)), ages[:30])
        for later in range(30) if is_corrected else ():
            watched.take_back(0, later, 0, 1.0, 0.0)
        found[is_corrected] = [*cuts_of, *watched.update(np.ones((30, 1)), ages[:30])]

    assert len(found[False]) == 1
    assert found[True] == []


CULPRIT = Culprit(
    feature="error",
    segment="all",
    detector="adwin",
    statistic="rate",
    value=0.4,
    noise_floor=0.05,
    threshold=0.12,
    p_value=None,
    window_rows=50,
    window_start_row=0,
    window_end_row=99,
    onset_row=0,
    bins=[],
)


def place(row: int) -> Place:
    return Place(row=row, ts="2024-01-01T00:00:00Z", topic="labels", partition=0, offset=row)


def opened(onset: int) -> PerformanceIncidents:
    found = PerformanceIncidents()
    cause = Cause([IncidentKind.PERFORMANCE_DEGRADATION], Severity.CRITICAL, [])
    found.detect("id", CULPRIT, place(onset), place(onset + 50), 1e-3, cause)
    return found


def later(found: PerformanceIncidents) -> list[int]:
    return [] if found.open is None else [onset.row for onset in found.open.later_onsets]


def test_an_onset_near_the_last_one_is_the_same_change() -> None:
    found = opened(50)

    assert found.change_again(CULPRIT, place(50 + APART)) is None
    assert found.change_again(CULPRIT, place(51 + APART)) is not None
    assert found.change_again(CULPRIT, place(51 + 2 * APART)) is None
    assert later(found) == [51 + APART]


def test_only_the_newest_onsets_are_kept_and_none_without_an_incident() -> None:
    found = opened(0)
    for number in range(1, MAX_ONSETS + 4):
        found.change_again(CULPRIT, place(2 * APART * number))

    assert later(found) == [2 * APART * number for number in range(4, MAX_ONSETS + 4)]
    assert PerformanceIncidents().change_again(CULPRIT, place(0)) is None


def told(cut: int, *, is_restored: bool = False) -> list[tuple[IncidentEvent, Incident]]:
    """Return what is told of a model that gets worse twice."""
    table, row = rows(ROWS, seed=11), np.arange(ROWS)
    rate = np.where(row < FIRST, 0.0, np.where(row < SECOND, 0.2, 0.5))
    answer = table["prediction"].to_numpy()
    answer = np.where(np.random.default_rng(3).random(ROWS) < rate, 1 - answer, answer)
    log = Log(table.set_column(table.schema.get_field_index("prediction"), "prediction", pa.array(answer)))
    log.serve(0, ROWS)
    log.label(0, ROWS, cut=cut)
    fold, found = fold_of(), []
    for record in log.records:
        found += folded(fold, [record])
        if is_restored:
            state, fold = fold.snapshot(), fold_of()
            fold.restore(state)
    return incidents(found)


def of_loss(found: list[tuple[IncidentEvent, Incident]]) -> list[tuple[IncidentEvent, int, list[int]]]:
    return [
        (event, data.onset.row, [onset.row for onset in data.later_onsets])
        for event, data in found
        if "performance_degradation" in data.kinds
    ]


def test_a_second_change_updates_the_incident_with_its_own_onset() -> None:
    found = of_loss(told(2_000))

    assert found[0][0] is IncidentEvent.OPENED
    assert abs(found[0][1] - FIRST) < 200
    again = [onsets for event, _, onsets in found if event is IncidentEvent.UPDATED and onsets]
    assert abs(again[0][0] - SECOND) < 200
    assert {len(onsets) for onsets in again} == {1}
    assert {onset for _, onset, _ in found} == {found[0][1]}


@pytest.mark.parametrize("cut", [97, 450])
def test_how_labels_are_cut_into_blocks_changes_no_onset(cut: int) -> None:
    assert of_loss(told(cut)) == of_loss(told(2_000))


def test_a_fold_goes_on_from_its_checkpoint_between_two_changes() -> None:
    assert told(450, is_restored=True) == told(450)
