"""Windows of segments: which shares of rows they tell of, and what a segment that the log brings learns."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from services.detector.quality.cells import CellWatch
from services.detector.quality.flags import AWAITED, Flags
from services.detector.quality.found import Amiss, Looked
from services.detector.quality.reference import Statistic
from services.detector.selftest import REFERENCE_WINDOWS
from services.detector.structs import decode_struct, encode_struct
from shared.monitors import FeatureSpec, ModelSpec
from tests.kit.references import loans
from tests.truth.watching import Prepared

WINDOW = 500
NEW = "channel=app"
SPEC = ModelSpec(
    task="regression", reference="r.csv", segments=["channel"], features={"amount": FeatureSpec(min=-1e9, max=1e9)}
)


@cache
def prepared() -> Prepared:
    return Prepared(SPEC, loans(4_000).drop_columns(["prediction", "label"]))


def watch() -> CellWatch:
    return CellWatch(prepared().baseline, SPEC)


def cells() -> int:
    return len(prepared().baseline.cells)


def check_of(statistic: Statistic) -> int:
    checks = prepared().baseline.quality.checks
    return next(at for at, check in enumerate(checks) if check.statistic is statistic and not check.reason)


def told(found: CellWatch, statistic: Statistic, counts: list[int], cell: int, first: int = 0) -> list[Amiss]:
    """Return what windows of a cell tell of, so many rows of each of which are amiss; they begin at row `first`."""
    flags: Flags = np.zeros((len(prepared().baseline.quality.checks), WINDOW * len(counts)), np.int8)
    for place, count in enumerate(counts):
        flags[check_of(statistic), WINDOW * place : WINDOW * place + count] = 1
    members = np.full((flags.shape[1], 3), -1, np.int32)
    members[:, 2] = cell
    return [one for one in found.take(flags, members, first) if isinstance(one, Amiss)]


def rows_of(found: list[Amiss]) -> list[int]:
    return [one.row for one in found]


def test_what_no_drift_brings_is_told_of_at_once() -> None:
    (found,) = told(watch(), Statistic.TYPE_ERROR, [0, 50, 0], 1)

    assert (found.row, found.culprit.segment) == (2 * WINDOW - 1, prepared().baseline.cells[1])
    assert (found.culprit.value, found.culprit.window_rows) == (0.1, WINDOW)


@pytest.mark.parametrize("statistic", [Statistic.OUTLIER, Statistic.DUPLICATE])
def test_what_a_drift_brings_as_well_has_to_last_for_two_windows(statistic: Statistic) -> None:
    assert rows_of(told(watch(), statistic, [400, 0, 400, 400, 0], 1)) == [4 * WINDOW - 1]


def test_how_rows_are_cut_changes_nothing_that_has_to_last() -> None:
    parts = watch()

    found = [told(parts, Statistic.OUTLIER, [count], 1, WINDOW * at) for at, count in enumerate([400, 0, 400, 400, 0])]

    assert [rows_of(one) for one in found] == [[], [], [], [4 * WINDOW - 1], []]


def test_a_row_that_was_early_is_told_of_its_own_cell() -> None:
    found, early = watch(), check_of(Statistic.EARLY)
    flags: Flags = np.zeros((len(prepared().baseline.quality.checks), 2 * WINDOW), np.int8)
    flags[early, AWAITED : AWAITED + 50] = 1
    members = np.full((2 * WINDOW, 2), -1, np.int32)
    members[:WINDOW, 1], members[WINDOW:, 1] = 1, 2

    (one,) = [one for one in found.take(flags, members, 0) if isinstance(one, Amiss)]

    assert (one.row, one.culprit.segment) == (WINDOW - 1 + AWAITED, prepared().baseline.cells[1])
    assert (one.culprit.onset_row, one.culprit.window_end_row) == (0, WINDOW - 1)


def test_a_new_segment_is_compared_with_all_traffic_where_it_may_be_no_other() -> None:
    found = watch()
    found.begin(cells(), NEW)

    (one,) = told(found, Statistic.TYPE_ERROR, [50], cells())

    assert one.culprit.segment == NEW


def test_a_new_segment_learns_how_many_values_it_lacks() -> None:
    found = watch()
    found.begin(cells(), NEW)

    lesson = told(found, Statistic.MISSING, [200] * REFERENCE_WINDOWS, cells())
    later = told(found, Statistic.MISSING, [200, 400], cells(), WINDOW * REFERENCE_WINDOWS)

    assert lesson == []
    assert rows_of(later) == [WINDOW * (REFERENCE_WINDOWS + 2) - 1]
    assert later[0].culprit.threshold == pytest.approx(0.42)


def test_a_segment_that_is_forgotten_begins_anew() -> None:
    found = watch()
    found.begin(cells(), "channel=gone")
    told(found, Statistic.MISSING, [200] * REFERENCE_WINDOWS, cells())
    found.end(cells())
    found.begin(cells(), NEW)

    assert found.name(cells()) == NEW
    assert told(found, Statistic.MISSING, [400], cells()) == []
    assert found.state.lessons.tolist() == [1]


def test_state_goes_on_where_it_was() -> None:
    whole, before, after = watch(), watch(), watch()
    for one in (whole, before):
        one.begin(cells(), NEW)
        told(one, Statistic.OUTLIER, [400], 1)
    after.state = decode_struct(encode_struct(before.state), type(before.state))

    assert rows_of(told(after, Statistic.OUTLIER, [400], 1)) == rows_of(told(whole, Statistic.OUTLIER, [400], 1))
    assert encode_struct(after.state) == encode_struct(whole.state)
    assert after.name(cells()) == NEW


def test_a_window_looks_at_every_check_once() -> None:
    flags: Flags = np.zeros((len(prepared().baseline.quality.checks), WINDOW + AWAITED), np.int8)
    members = np.ones((WINDOW + AWAITED, 1), np.int32)

    looks = [one for one in watch().take(flags, members, 0) if isinstance(one, Looked)]

    assert sorted(at for one in looks for at in one.checks.tolist()) == list(range(len(flags)))
    assert [one.row for one in looks] == [WINDOW - 1, WINDOW + AWAITED - 1]
