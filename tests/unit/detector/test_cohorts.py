"""Labels are counted in the cohort of their prediction, whatever the order, the shard and the cut."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.detector.performance import cell_cohorts
from services.detector.performance.cell_cohorts import served_key
from services.detector.performance.cohorts import Cohorts, Labelled
from services.detector.performance.tally import Tally
from services.detector.structs import FloatArray, IntArray, decode_struct, encode_struct

REGRESSION = Tally("regression", ())
SIZES = (4, 3, 2)  # all, and two segments
LABELS = ("all", "s=a", "s=b")
NOTHING = np.zeros((0, 0))
NO_CURVES = np.zeros((0, 0))
BIG = 1e15

Metered = tuple[int, Any, Any]  # labels, mean error, mean absolute error


def of_one(rows: np.ndarray) -> IntArray:
    """Return the same prediction for each of the rows."""
    return np.zeros(len(rows), np.int64)


@dataclass
class Row:
    """One prediction: where it went, and its cells."""

    shard: int
    seq: int
    row: int
    cells: tuple[int, ...]
    key: tuple[int, ...] = ()  # the cohort number in each cell


@dataclass
class World:
    """Cohorts, and beside them what a dictionary says."""

    cohorts: Cohorts = field(default_factory=lambda: Cohorts(LABELS, SIZES, REGRESSION, NO_CURVES))
    last: dict[int, int] = field(default_factory=dict)
    served: list[Row] = field(default_factory=list)
    rows: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    truth: dict[tuple[int, int], list[float]] = field(default_factory=lambda: defaultdict(list))

    def serve(self, shard: int, seq: int, cells: list[tuple[int, ...]], times: list[int] | None = None) -> None:
        self.last[shard] = seq
        array = np.array(cells, np.int32).reshape(len(cells), -1)
        self.cohorts.serve(shard, seq, array, np.array(times or [0] * len(cells), np.int64), of_one(array), self.last)
        for row, members in enumerate(cells):
            numbers = []
            for cell in members:
                if cell >= 0:
                    numbers.append(self.rows[cell] // SIZES[cell])
                    self.rows[cell] += 1
            self.served.append(Row(shard, seq, row, members, tuple(numbers)))

    def label(self, places: list[int], errors: list[float], sign: int = 1) -> None:
        """Label served rows of one shard; the prediction is 0 and the label minus the error."""
        rows = [self.served[place] for place in places]
        keys = served_key(*(np.array([getattr(r, name) for r in rows], np.int64) for name in ("seq", "row")))
        prediction = np.zeros(len(rows))
        told = REGRESSION.contributions(-np.array(errors), prediction, NOTHING)
        cells = np.array([row.cells for row in rows], np.int32)
        self.cohorts.label(rows[0].shard, Labelled(keys, cells, told), sign)
        for row, error in zip(rows, errors, strict=True):
            for cell, number in zip([c for c in row.cells if c >= 0], row.key, strict=True):
                if sign > 0:
                    self.truth[cell, number].append(error)
                else:
                    self.truth[cell, number].remove(error)

    def found(self) -> dict[tuple[int, int], Metered]:
        """Return labels, mean error and mean absolute error of every full cohort."""
        return {
            (LABELS.index(row.segment), row.cohort_start_row // SIZES[LABELS.index(row.segment)]): (
                row.n_labelled,
                row.metrics["mean_error"].value,
                row.metrics["mae"].value,
            )
            for row in self.cohorts.rows("m", "v1", 0)
        }

    def expected(self) -> dict[tuple[int, int], Metered]:
        """Return the same from the dictionary."""
        full = [(cell, number) for cell, size in enumerate(SIZES) for number in range(self.rows[cell] // size)]
        return {place: summed(self.truth[place]) for place in full}


def summed(errors: list[float]) -> Metered:
    if not errors:
        return 0, None, None
    n = len(errors)
    return n, pytest.approx(math.fsum(errors) / n), pytest.approx(math.fsum(map(abs, errors)) / n)


@st.composite
def histories(draw: st.DrawFn) -> World:
    """Draw blocks of three shards, with labels, corrections and a restart from bytes in between."""
    world = World()
    numbers = {0: 5, 1: 1 << 40, 2: 77}
    labelled: dict[int, float] = {}
    for _ in range(draw(st.integers(1, 25))):
        what = draw(st.sampled_from(["serve", "serve", "label", "correct", "restart"]))
        shard = draw(st.integers(0, 2))
        if what == "serve":
            numbers[shard] += draw(st.integers(1, 5))
            members = st.tuples(st.just(0), st.sampled_from([-1, 1, 2]))
            world.serve(shard, numbers[shard], draw(st.lists(members, min_size=1, max_size=9)))
        elif what == "restart":
            state = world.cohorts.snapshot()
            world.cohorts.restore(decode_struct(encode_struct(state), type(state)))
        else:
            choice = [
                i for i, row in enumerate(world.served) if row.shard == shard and (i in labelled) == (what == "correct")
            ]
            places = draw(st.lists(st.sampled_from(choice), unique=True, max_size=6)) if choice else []
            if not places:
                continue
            errors = draw(st.lists(st.sampled_from([-2.5, 0.1, 3.0, BIG]), min_size=len(places), max_size=len(places)))
            if what == "correct":
                world.label(places, [labelled[place] for place in places], sign=-1)
            world.label(places, errors)
            labelled |= dict(zip(places, errors, strict=True))
    return world


@settings(max_examples=100)
@given(histories())
def test_labels_find_the_cohort_of_their_prediction(world: World) -> None:
    assert world.found() == world.expected()


def test_a_shard_that_comes_in_the_middle_of_a_cohort_is_counted_at_once() -> None:
    world = World()
    world.serve(0, 1, [(0, -1)] * 2)
    world.serve(1, 1, [(0, -1)] * 2)

    world.label([2, 3], [1.0, 2.0])

    assert world.found() == {(0, 0): (2, pytest.approx(1.5), pytest.approx(1.5))}


def test_a_corrected_label_leaves_no_trace_of_the_one_before() -> None:
    world = World()
    world.serve(0, 1, [(0, -1)] * 4)
    world.label([0, 1, 2], [0.1, 0.2, 0.3])
    before = world.found()

    world.label([3], [1e30])
    world.label([3], [1e30], sign=-1)

    assert world.found() == before


def test_the_cut_into_blocks_leaves_the_same_bytes() -> None:
    rng = np.random.default_rng(1)
    cells = np.stack([np.zeros(30), rng.integers(1, 3, 30)], axis=1).astype(np.int32)
    keys = served_key(np.full(30, 1, np.int64), np.arange(30, dtype=np.int64))
    labels, predictions = rng.normal(0, 1e6, 30), rng.normal(0, 1e-6, 30)
    states = []
    for step in (1, 7, 30):
        whole = Cohorts(LABELS, SIZES, REGRESSION, NO_CURVES)
        whole.serve(0, 1, cells, np.arange(30, dtype=np.int64), of_one(cells), {0: 1})
        for at in range(0, 30, step):
            rows = slice(at, at + step)
            told = REGRESSION.contributions(labels[rows], predictions[rows], NOTHING[rows])
            whole.label(0, Labelled(keys[rows], cells[rows], told))
        states.append(encode_struct(whole.state))

    assert states[0] == states[1] == states[2]


def test_the_oldest_cohorts_are_dropped_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_cohorts, "MAX_COHORTS", 3)
    world = World()
    for seq in range(6):
        world.serve(seq % 2, 1 + seq, [(0, -1)] * SIZES[0])
    world.label([0], [9.0])  # of a dropped cohort
    world.label([4], [9.0])
    world.label([12], [3.0])
    world.label([20], [5.0])

    assert world.found() == {
        (0, 3): (1, 3.0, 3.0),
        (0, 4): (0, None, None),
        (0, 5): (1, 5.0, 5.0),
    }
    book = world.cohorts.state.cells[0]
    assert (len(book.counts), book.sums.shape, book.dropped) == (3, (2, 3, len(REGRESSION.sums)), 3)
    assert {shard: len(starts) for shard, starts in book.starts.items()} == {0: 3, 1: 3}


def test_a_cohort_is_final_once_stream_time_at_its_last_row_is_a_horizon_ago() -> None:
    world = World()
    world.serve(0, 1, [(0, -1)] * 9, times=[10, 20, 30, 40, 50, 60, 70, 80, 90])

    states = [(row.cohort_start_row, row.cohort_end_row, row.state) for row in world.cohorts.rows("m", "v1", 41)]

    assert states == [(0, 3, "final"), (4, 7, "provisional")]


def test_coverage_is_the_share_of_labelled_predictions() -> None:
    world = World()
    world.serve(0, 1, [(0, 1)] * 4)
    world.label([0, 3], [1.0, 1.0])

    rows = {row.segment: (row.n_predicted, row.n_labelled, row.coverage) for row in world.cohorts.rows("m", "v1", 0)}

    assert rows == {"all": (4, 2, 0.5), "s=a": (3, 1, pytest.approx(1 / 3))}


def test_a_label_of_a_shard_that_served_nothing_is_not_counted() -> None:
    world = World()
    world.serve(0, 1, [(0, -1)] * 4)
    world.served.append(Row(2, 9, 0, (0, -1)))
    keys = served_key(np.array([9]), np.array([0]))
    told = REGRESSION.contributions(np.array([1.0]), np.array([0.0]), NOTHING)

    world.cohorts.label(2, Labelled(keys, np.array([[0, -1]], np.int32), told))

    assert world.found() == {(0, 0): (0, None, None)}


BINARY = Tally("binary", ("no", "yes"), positive=1)


def scored(size: int) -> tuple[Cohorts, IntArray]:
    """Return cohorts of one cell with `size` served rows each, three of them, and the keys of their rows."""
    book = Cohorts(("all",), (size,), BINARY, np.arange(1, 512)[np.newaxis] / 512)
    keys = served_key(np.full(3 * size, 1, np.int64), np.arange(3 * size, dtype=np.int64))
    first = np.zeros((3 * size, 1), np.int32)
    book.serve(0, 1, first, np.arange(3 * size, dtype=np.int64), of_one(first), {0: 1})
    return book, keys


def labelled(book: Cohorts, keys: IntArray, scores: FloatArray, truths: FloatArray, sign: int = 1) -> None:
    told = BINARY.contributions(truths, truths, scores[:, None])
    book.label(0, Labelled(keys, np.zeros((len(keys), 1), np.int32), told), sign)


def areas(book: Cohorts) -> list[float | None]:
    return [row.metrics["roc_auc"].value for row in book.rows("m", "v1", 0)]


def test_a_cohort_counts_the_scores_of_its_own_predictions() -> None:
    book, keys = scored(4)
    labelled(book, keys[[5, 0, 4, 2]], np.array([0.9, 0.4, 0.2, 0.6]), np.array([0.0, 0.0, 1.0, 1.0]))

    assert areas(book) == [1.0, 0.0, None]


def test_a_final_cohort_keeps_its_areas_and_gives_its_tables_back() -> None:
    book, keys = scored(4)
    labelled(book, keys[:3], np.array([0.1, 0.8, 0.4]), np.array([0.0, 1.0, 0.0]))
    labelled(book, keys[4:6], np.array([0.1, 0.8]), np.array([1.0, 0.0]))

    more = np.zeros((1, 1), np.int32)
    book.serve(0, 2, more, np.array([20]), of_one(more), {0: 2}, final_before_ms=4)

    assert areas(book) == [1.0, 0.0, None]
    cell = decode_struct(encode_struct(book.state), type(book.state)).cells[0]
    assert (cell.closed, cell.slots, cell.scores.free) == (1, [-1, 1, -1, -1], [0])
    assert book.closed_early == 0


def test_when_too_many_are_open_the_oldest_keep_what_they_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cell_cohorts, "MAX_OPEN", 2)
    book, keys = scored(4)
    labelled(book, keys[4:6], np.array([0.1, 0.8]), np.array([1.0, 0.0]))

    more = np.zeros((4, 1), np.int32)
    book.serve(0, 2, more, np.full(4, 20), of_one(more), {0: 2})

    labelled(book, keys[[4, 6]], np.array([0.1, 0.9]), np.array([1.0, 1.0]))
    assert (areas(book), book.closed_early) == ([None, 0.0, None, None], 2)
    told = [row.metrics["roc_auc"].note for row in book.rows("m", "v1", 0)]
    assert told[:2] == ["of the labels that had come when 4,096 newer cohorts were open"] * 2
    assert [row.n_labelled for row in book.rows("m", "v1", 0)] == [0, 4, 0, 0]


def test_a_full_cohort_is_told_once_when_it_is_final() -> None:
    book, _ = scored(4)
    more = np.zeros((6, 1), np.int32)

    first = book.serve(0, 2, more[:1], np.array([20]), of_one(more[:1]), {0: 2}, final_before_ms=4)
    second = book.serve(0, 3, more[1:], np.full(5, 20), of_one(more[1:]), {0: 3}, final_before_ms=12)
    book.restore(decode_struct(encode_struct(book.snapshot()), type(book.state)))

    assert (first, second) == ([(0, 0)], [(0, 1), (0, 2)])
    assert book.serve(0, 4, more, np.full(6, 30), of_one(more), {0: 4}, final_before_ms=12) == []
    assert book.row("m", "v1", second[0], is_final=True).cohort_end_row == 7


def test_the_newest_cohort_is_one_whose_labels_say_something() -> None:
    book, keys = scored(4)
    assert book.newest("m", "v1") is None

    labelled(book, keys[[0, 4, 5, 8]], np.full(4, 0.5), np.zeros(4))

    found = book.newest("m", "v1")
    assert found is not None
    assert (found.cohort_start_row, found.coverage, found.state) == (4, 0.5, "provisional")
