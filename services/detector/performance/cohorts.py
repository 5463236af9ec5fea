"""Cohorts: labels are counted where their prediction was served, however late they come.

Served rows of each cell (all traffic, or one segment) are cut into cohorts of a fixed size, in fold order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from msgspec.structs import replace

from services.detector.banks.compiled import dense
from services.detector.performance.cell_cohorts import ROW_BITS, CellCohorts, served_key
from services.detector.performance.score_counts import EXACT, ScoreCounts
from services.detector.performance.tally import Contributions, Tally
from services.detector.report import CohortRow
from services.detector.segments import Memberships
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray, IntArray

CohortPlace = tuple[int, int]  # of a cohort: its cell, and where it is among those that the cell keeps


class CohortState(msgspec.Struct):
    """All cells' cohorts."""

    cells: list[CellCohorts]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Labelled rows as a tally takes them; see `Tally.contributions`."""

    keys: IntArray  # served key of each row's prediction
    cells: Memberships  # [rows, memberships], -1 none
    told: Contributions


class Cohorts:
    """The cohorts of every cell of one model version."""

    def __init__(
        self, labels: Sequence[str], sizes: Sequence[int], tally: Tally, edges: FloatArray, *, exact: bool = False
    ) -> None:
        """Begin.

        edges: [curves, bins - 1], between the bins of scores. exact: tell all scores apart, however many there are.
        """
        self.labels = list(labels)
        self._tally = tally
        self._edges = dense(edges, np.float64)
        self._most = np.iinfo(np.int32).max if exact else EXACT
        self.closed_early = 0
        self.state = CohortState([self._empty(size) for size in sizes])

    def snapshot(self) -> CohortState:
        """Return the state as a checkpoint holds it."""
        return CohortState([replace(cell, scores=cell.scores.packed()) for cell in self.state.cells])

    def restore(self, state: CohortState) -> None:
        """Become what gave the snapshot."""
        self.state = CohortState([replace(cell, scores=cell.scores.unpacked()) for cell in state.cells])

    def begin(self, cell: int, label: str, size: int) -> None:
        """Begin a cell anew, under another name; the one behind the last begins to be."""
        self.labels[cell : cell + 1] = [label]
        self.state.cells[cell : cell + 1] = [self._empty(size)]

    def _empty(self, size: int) -> CellCohorts:
        counts, sums = np.zeros((0, self._tally.counts), np.int64), np.zeros((2, 0, len(self._tally.sums)))
        served = np.zeros((0, self._tally.predictions), np.int64)
        return CellCohorts(size, counts, sums, served, scores=ScoreCounts.of(len(self._tally.curves), size))

    def serve(
        self,
        shard: int,
        seq: int,
        cells: Memberships,
        times: IntArray,
        predicted: IntArray,
        last: Mapping[int, int],
        final_before_ms: int = 0,
        look: Callable[[], None] | None = None,
    ) -> list[CohortPlace]:
        """Take one served block: the cells of its rows, stream time after each, and what was predicted.

        predicted: [rows], as `Tally.predicted` tells them.
        last: the newest sequence number of every shard, this block's included.
        final_before_ms: cohorts whose last row was before it get no more labels.
        look: called when the cohorts of all traffic have these rows, before the scores of final ones are dropped.
        Returns those of the block's cells that have become final.
        """
        final: list[CohortPlace] = []
        keys = served_key(np.full(len(times), seq, np.int64), np.arange(len(times), dtype=np.int64))
        after = {other: (newest + 1) << ROW_BITS for other, newest in last.items() if other != shard}
        for cell, here in rows_by_cell(cells):
            book = self.state.cells[cell]
            book.serve(shard, keys[here], times[here], predicted[here], after)
            if cell == 0 and look is not None:
                look()
            self.closed_early += book.close(self._tally, final_before_ms)
            final += [(cell, at) for at in book.finish(final_before_ms)]
        return final

    def scores_of(self, book: CellCohorts, at: int) -> IntArray | None:
        """Return the labels of a cohort by bins of the first curve's scores; None where they are dropped."""
        if at < book.closed:
            return None
        slot, edges = book.slots[at], self._edges[0]
        return np.zeros((len(edges) + 1, 2), np.int64) if slot < 0 else book.scores.binned(slot, 0, edges)

    def holds(self, shard: int, keys: IntArray, cells: Memberships) -> BoolArray:
        """Tell which served rows were counted in which of their cells, or may have been before the kept cohorts."""
        found = np.zeros(cells.shape, np.bool_)
        for membership in range(cells.shape[1]):
            for cell, here in rows_by_cell(cells[:, membership : membership + 1]):
                book = self.state.cells[cell]
                found[here, membership] = (book.find(shard, keys[here]) >= 0) | (book.dropped > 0)
        return found

    def label(self, shard: int, rows: Labelled, sign: int = 1) -> None:
        """Count labelled rows where their predictions were served; sign -1 takes a replaced label back."""
        for cell, here in rows_by_cell(rows.cells):
            book = self.state.cells[cell]
            book.add(book.find(shard, rows.keys[here]), here, rows.told, self._edges, self._most, sign)

    def rows(self, model: str, version: str, final_before_ms: int) -> list[CohortRow]:
        """Return every full cohort; final where stream time at its last prediction is before `final_before_ms`."""
        return [
            self.row(model, version, (cell, at), is_final=book.last_ms[at] < final_before_ms)
            for cell, book in enumerate(self.state.cells)
            for at, predicted in enumerate(book.predicted)
            if predicted == book.size
        ]

    def row(self, model: str, version: str, place: CohortPlace, *, is_final: bool) -> CohortRow:
        """Return one full cohort."""
        cell, at = place
        book = self.state.cells[cell]
        start, end = book.span(at)
        labelled = int(book.counts[at].sum())
        metrics = self._tally.metrics(book.counts[at], book.sums[:, at].sum(axis=0))
        metrics |= book.areas_of(at, self._tally)
        return CohortRow(
            model=model,
            model_version=version,
            segment=self.labels[cell],
            cohort_start_row=start,
            cohort_end_row=end,
            n_predicted=book.predicted[at],
            n_labelled=labelled,
            coverage=labelled / book.predicted[at],
            state="final" if is_final else "provisional",
            metrics=self._tally.selected(metrics, book.counts[at], book.served[at]),
        )

    def newest(self, model: str, version: str) -> CohortRow | None:
        """Return the newest cohort of all traffic that is final or has labels of half of its predictions."""
        book = self.state.cells[0]
        labelled = book.counts.sum(axis=1)
        for at in reversed(range(len(book.predicted))):
            if book.predicted[at] == book.size and (at < book.final or 2 * int(labelled[at]) >= book.size):
                return self.row(model, version, (0, at), is_final=at < book.final)
        return None


def rows_by_cell(cells: Memberships) -> Iterator[tuple[int, IntArray]]:
    """Yield every cell with its rows, in order."""
    places = cells.ravel()
    if places.size and int(places.max()) <= np.iinfo(np.int16).max:
        places = places.astype(np.int16)  # whose stable order takes a tenth of the time
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    for rows in np.split(order, np.flatnonzero(np.diff(ordered)) + 1):
        cell = int(places[rows[0]]) if rows.size else -1
        if cell >= 0:
            yield cell, rows // cells.shape[1]
