"""Categories that come no more."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.baseline import WINDOW_ALL, Column
from services.detector.quality.reference import UsualLevels
from services.detector.quality.vanished import EXPECTED, WINDOWS, Event, VanishedBank, usual_levels
from services.detector.signals.columns import Codes
from services.detector.structs import IntArray

ROWS = 20_000
RNG = np.random.default_rng(3)


def column(codes: Codes, levels: list[str], cells: IntArray, *, role: str = "feature") -> Column:
    counts = np.zeros((int(cells.max()) + 1, len(levels)), np.int64)
    np.add.at(counts, (np.zeros_like(cells), codes), 1)
    for cell in range(1, len(counts)):
        counts[cell] = np.bincount(codes[cells == cell], minlength=len(levels))
    return Column(
        name="colour",
        source="f:colour",
        role="feature" if role == "feature" else "prediction",
        kind="categorical",
        counts=counts,
        missing=np.zeros(len(counts), np.int64),
        missing_peak=0.0,
        edges=np.zeros(0),
        grid_edges=np.zeros(0),
        grid_counts=np.zeros((len(counts), 0), np.int64),
        levels=levels,
    )


def usual_of(codes: Codes, levels: list[str], cells: IntArray | None = None, *, role: str = "feature") -> UsualLevels:
    place = np.ones(len(codes), np.int64) if cells is None else cells
    memberships = np.column_stack([np.zeros(len(codes)), place]).astype(np.int32)
    return usual_levels([column(codes, levels, place, role=role)], [codes], memberships, 2)


def drawn(shares: list[float], rows: int = ROWS) -> Codes:
    return RNG.choice(len(shares), rows, p=shares).astype(np.int32)


def test_a_category_of_which_a_window_holds_thirty_rows_is_gone_when_two_windows_have_none() -> None:
    found = usual_of(drawn([0.2, 0.04, 0.73, 0.03]), ["a", "b", "c", "d"])

    assert found.code.tolist() == [0, 1, 2]
    assert found.limit[0].tolist() == [WINDOWS * WINDOW_ALL] * 3
    assert -np.log1p(-0.04) * WINDOW_ALL > EXPECTED


def test_a_rare_category_and_a_missing_value_are_nothing_that_is_missed() -> None:
    found = usual_of(drawn([0.5, 0.48, 0.02]), ["a", "__missing__", "c"])

    assert found.code.tolist() == [0]


def test_a_class_that_is_no_longer_predicted_is_drift() -> None:
    assert usual_of(drawn([0.5, 0.5]), ["a", "b"], role="prediction").code.size == 0


def test_categories_that_come_in_clusters_are_given_time_or_none_are_watched() -> None:
    close = usual_of((np.arange(ROWS) // 1_200 % 2).astype(np.int32), ["a", "b"])
    apart = usual_of((np.arange(ROWS) // 5_000 % 2).astype(np.int32), ["a", "b"])

    assert close.limit[0].tolist() == [2 * WINDOWS * WINDOW_ALL] * 2
    assert (apart.limit == 0).all()


def bank(*limits: tuple[int, ...], levels: int = 2) -> VanishedBank:
    codes = np.arange(levels, dtype=np.int32)
    usual = UsualLevels(place=np.zeros(levels, np.int64), code=codes.astype(np.int64), limit=np.array(limits, np.int32))
    return VanishedBank([column(codes, [str(code) for code in codes], np.zeros(levels, np.int64))], usual)


def events(found: VanishedBank, codes: list[int], cells: list[int] | None = None, first_row: int = 0) -> list[Event]:
    member = np.column_stack([np.zeros(len(codes)), np.zeros(len(codes)) - 1 if cells is None else cells])
    return list(found.take(np.array(codes, np.int32)[:, None], member.astype(np.int32), first_row))


def test_a_category_goes_once_and_comes_again() -> None:
    assert events(bank((3, 0)), [0, 1, 1, 1, 1, 1, 0, 1, 1, 1], first_row=10) == [
        Event(3, 0, 0, 10, 3, is_gone=True),
        Event(6, 0, 0, 10, 6, is_gone=False),
        Event(9, 0, 0, 16, 3, is_gone=True),
    ]


def test_rows_without_a_value_are_no_evidence_and_unknown_categories_are() -> None:
    assert events(bank((3, 0)), [0, -1, -1, -1, -1]) == []
    assert [event.row for event in events(bank((3, 0)), [0, 2, 2, 2])] == [3]


def test_a_category_that_never_came_is_gone_from_the_first_row_on() -> None:
    assert events(bank((3, 0)), [1, 1, 1]) == [Event(2, 0, 0, -1, 3, is_gone=True)]


def test_a_segment_has_its_own_rows() -> None:
    found = events(bank((0, 0), (2, 0)), [0, 1, 0, 1, 1], [1, 1, 0, 0, 1])

    assert found == [Event(4, 1, 0, 0, 2, is_gone=True)]


@pytest.mark.parametrize("cut", [1, 7, 500])
def test_how_rows_are_cut_changes_nothing(cut: int) -> None:
    codes, cells = drawn([0.9, 0.1], 2_000).tolist(), (RNG.random(2_000) < 0.5).astype(int).tolist()
    whole, parts = bank((3, 15), (2, 9)), bank((3, 15), (2, 9))

    found = [
        event._replace(row=at + event.row)
        for at in range(0, 2_000, cut)
        for event in events(parts, codes[at : at + cut], cells[at : at + cut], at)
    ]

    assert len(found) > 100
    assert found == events(whole, codes, cells)
