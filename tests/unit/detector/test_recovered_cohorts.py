"""Three final cohorts in a row that are no worse than the reference end an incident of performance."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.detector.performance.recovery import COHORTS, Recovery
from shared.events.alert import Incident, IncidentEvent
from tests.kit.references import HOUR_MS
from tests.kit.traffic import SPEC, Log, fold_of, folded, incidents, published_as, rows

P0 = 0.1
ALLOWED = 1.1 * P0
ROWS, FIRST, LAST = 12_000, 2_000, 3_000  # of which this stretch is bad
FEW = 80  # labels of a cohort that is surely well


def recovery() -> Recovery:
    return Recovery(p_now=[0.3], p0=[P0], since_row=2_500)


def finished(*cohorts: tuple[int, float | None], of: Recovery | None = None) -> list[bool]:
    watched = recovery() if of is None else of
    return [watched.finish(first_row, upper, P0) for first_row, upper in cohorts]


def test_three_cohorts_at_the_limit_are_enough_and_a_bad_one_begins_anew() -> None:
    good, bad = ALLOWED, np.nextafter(ALLOWED, 1.0)

    assert COHORTS == 3
    assert finished((3_000, good), (4_000, good), (5_000, good)) == [False, False, True]
    assert finished((3_000, good), (4_000, good), (5_000, bad), (6_000, good)) == [False] * 4


def test_cohorts_from_before_the_loss_and_without_a_rate_say_nothing() -> None:
    assert finished((1_000, 0.0), (2_500, 0.0), (3_000, 0.0), (4_000, None), (5_000, 0.0)) == [False] * 5
    assert finished((3_000, 0.0), (4_000, None), (5_000, 0.0), (6_000, 0.0))[-1]


def test_a_monitor_that_fires_again_needs_three_cohorts_from_there_on() -> None:
    watched = recovery()
    finished((3_000, 0.0), (4_000, 0.0), of=watched)
    watched.begin_cohorts(6_000)

    assert finished((5_000, 0.0), (6_001, 0.0), (7_001, 0.0), (8_001, 0.0), of=watched) == [False, False, False, True]


def told(cut: int, *, is_restored: bool = False) -> list[tuple[IncidentEvent, Incident]]:
    """Return what is told of a model that errs in one stretch and never after; of what follows few labels come."""
    published = published_as(msgspec.structs.replace(SPEC, label_horizon="2d"))
    table, row = rows(ROWS, seed=11, error_rate=0.0), np.arange(ROWS)
    answer = table["prediction"].to_numpy()
    answer = np.where((row >= FIRST) & (row < LAST) & (row % 2 == 0), 1 - answer, answer)
    log = Log(table.set_column(table.schema.get_field_index("prediction"), "prediction", pa.array(answer)), published)
    log.tick(after_ms=ROWS * HOUR_MS)
    for start in range(0, ROWS, 1_000):
        log.serve(start, start + 1_000, cut=cut)
        log.label(start, start + (1_000 if start < LAST else FEW), cut=cut)
    fold, found = fold_of(published), []
    for record in log.records:
        found += folded(fold, [record])
        if is_restored:
            state, fold = fold.snapshot(), fold_of(published)
            fold.restore(state)
    return incidents(found)


def of_loss(found: list[tuple[IncidentEvent, Incident]]) -> list[tuple[IncidentEvent, int]]:
    return [(event, data.rows_affected) for event, data in found if "performance_degradation" in data.kinds]


def test_an_incident_resolves_by_cohorts_where_labels_are_too_few_for_anything_else() -> None:
    found = of_loss(told(1_000))

    assert [event for event, _ in found if event is not IncidentEvent.UPDATED] == [
        IncidentEvent.OPENED,
        IncidentEvent.RESOLVED,
    ]


@pytest.mark.parametrize("cut", [97, 450])
def test_how_rows_are_cut_into_blocks_changes_no_resolution(cut: int) -> None:
    assert of_loss(told(cut)) == of_loss(told(1_000))


def test_a_fold_goes_on_from_its_checkpoint_between_cohorts() -> None:
    assert told(450, is_restored=True) == told(450)
