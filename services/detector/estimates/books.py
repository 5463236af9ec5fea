"""Estimates by cohorts: the cohorts of labels, of the same rows of each cell, judged when their last row is served."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from services.detector.estimates.expected import AREAS, ENDS, Expectation, add, add_bins
from services.detector.performance.cell_cohorts import MAX_COHORTS
from services.detector.performance.cohorts import rows_by_cell
from services.detector.performance.score_counts import EXACT
from services.detector.segments import Memberships
from services.detector.signals.plan import Signals
from services.detector.state import Field, array, pack, unpack
from services.detector.structs import FloatArray
from shared.errors import Corrupt

NAME, VERSION = "estimates", 1
CohortPlace = tuple[int, int]  # of a cohort: its cell, and its number in that cell


@dataclass(slots=True)
class CellBook:
    """The sums of one cell: of the cohort that is being served, and of those that are full."""

    size: int
    open: FloatArray  # [sums]
    full: FloatArray  # [cohorts, sums], the oldest kept one first
    rows: int = 0  # served so far
    dropped: int = 0  # full cohorts that gave way to newer ones

    def sums(self, number: int) -> FloatArray | None:
        """Return the sums of a full cohort; None where it is not kept."""
        at = number - self.dropped
        return self.full[at] if 0 <= at < len(self.full) else None


class EstimateBooks:
    """The cohorts of every cell of one model version; a fold of its served rows. Areas are of all traffic."""

    def __init__(self, expectation: Expectation, sizes: Sequence[int]) -> None:
        self._expectation = expectation
        self._cells = [self._empty(size) for size in sizes]
        curves = len(expectation.curves)
        self._bins = np.zeros((curves, EXACT if curves else 0, 2))
        self._areas = np.zeros((0, len(AREAS), ENDS))

    def _empty(self, size: int) -> CellBook:
        width = self._expectation.width
        return CellBook(size, np.zeros(width), np.zeros((0, width)))

    def begin(self, cell: int, size: int) -> None:
        """Begin a cell anew; the one behind the last begins to be."""
        self._cells[cell : cell + 1] = [self._empty(size)]

    def serve(self, signals: Signals, cells: Memberships) -> list[CohortPlace]:
        """Take one served block and the cells of its rows; return the cohorts that are full now."""
        if not self._expectation.width:
            return []
        expected = self._expectation.of(signals)
        full: list[CohortPlace] = []
        for cell, rows in rows_by_cell(cells):
            taken = 0
            while taken < len(rows):
                book = self._cells[cell]
                n = min(len(rows) - taken, book.size - book.rows % book.size)
                part = rows[taken : taken + n]
                add(book.open, expected, part)
                if cell == 0 and self._expectation.curves:
                    codes = np.array(self._expectation.curves, np.int64)
                    add_bins(self._bins, expected.chances, codes, expected.bins, part)
                book.rows += n
                taken += n
                if book.rows % book.size == 0:
                    self._close(cell)
                    full.append((cell, book.rows // book.size - 1))
        return full

    def _close(self, cell: int) -> None:
        book = self._cells[cell]
        first = int(len(book.full) >= MAX_COHORTS)
        book.full = np.concatenate([book.full[first:], book.open[np.newaxis]])
        book.open, book.dropped = np.zeros_like(book.open), book.dropped + first
        if cell == 0 and self._expectation.curves:
            areas = self._expectation.areas(self._bins)
            self._areas = np.concatenate([self._areas[first:], areas[np.newaxis]])
            self._bins = np.zeros_like(self._bins)

    def found(self, place: CohortPlace) -> tuple[FloatArray, FloatArray | None] | None:
        """Return the sums and the areas of a full cohort; None where nothing is estimated of it."""
        cell, number = place
        sums = self._cells[cell].sums(number) if self._expectation.width else None
        if sums is None:
            return None
        has_areas = cell == 0 and bool(self._expectation.curves)
        return sums, self._areas[number - self._cells[0].dropped] if has_areas else None

    def span(self, place: CohortPlace) -> tuple[int, int]:
        """Return the first and last row of the cell, inclusive, of a full cohort."""
        cell, number = place
        size = self._cells[cell].size
        return number * size, (number + 1) * size - 1

    @property
    def newest(self) -> CohortPlace | None:
        """Return the newest full cohort of all traffic."""
        book = self._cells[0]
        return (0, book.rows // book.size - 1) if len(book.full) else None

    def snapshot(self) -> bytes:
        """Return the state; equal histories give equal bytes."""
        return pack(NAME, VERSION, dict(self._fields()))

    def _fields(self) -> Iterator[tuple[str, Field]]:
        yield "bins", self._bins
        yield "areas", self._areas
        yield "sizes", np.array([book.size for book in self._cells], np.int64)
        yield "rows", np.array([book.rows for book in self._cells], np.int64)
        yield "dropped", np.array([book.dropped for book in self._cells], np.int64)
        yield "kept", np.array([len(book.full) for book in self._cells], np.int64)
        yield "open", np.array([book.open for book in self._cells])
        yield "full", np.concatenate([book.full for book in self._cells])

    def restore(self, content: bytes) -> None:
        """Become what gave the snapshot.

        Raises:
            Corrupt: the bytes are of another version, or of other sums.
        """
        fields = unpack(NAME, VERSION, content)
        numbers = [array(fields, name, np.int64) for name in ("sizes", "rows", "dropped", "kept")]
        opened, full = array(fields, "open", np.float64), array(fields, "full", np.float64)
        width, bins = self._expectation.width, array(fields, "bins", np.float64)
        if opened.shape != (len(numbers[0]), width) or full.shape[1:] != (width,) or bins.shape != self._bins.shape:
            raise Corrupt("estimates of another baseline")
        self._bins, self._areas = bins, array(fields, "areas", np.float64)
        starts = np.concatenate([[0], np.cumsum(numbers[3])]).tolist()
        self._cells = [
            CellBook(size, opened[at].copy(), full[starts[at] : starts[at] + kept].copy(), rows, dropped)
            for at, (size, rows, dropped, kept) in enumerate(zip(*(n.tolist() for n in numbers), strict=True))
        ]
