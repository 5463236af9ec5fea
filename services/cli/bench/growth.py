"""Banks of few and of many series, young and old, and what their updates cost against one another."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.detector.banks.adwin import AdwinBank
from services.detector.banks.detections import Gate
from services.detector.banks.page_hinkley import PageHinkleyBank
from services.detector.banks.windows import WindowBank
from services.detector.baseline import WINDOW_SEGMENT
from services.detector.grid import QUANTILE_CELLS
from services.detector.ranks import CLIP
from services.detector.sequential import MIN_EVENTS, NORMAL_SCORE_GATE, RANK_GATE
from shared.events.block import MAX_ROWS

SIZES = (10, 100, 1_000, 10_000)
COLUMNS = 10  # of each cell of a window bank
BINS = 10
UPDATES = 4_000_000  # in the block of the largest size
MEASURED = 200_000  # updates, or more: a millisecond is too short to tell

Block = tuple[NDArray[Any], ...]  # what `update` takes
Costs = Mapping[tuple[str, str], float]  # of an update, by kind and by what is compared


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of bank, with the detector's constants and values that do not drift."""

    name: str
    bank: Callable[[int], Any]  # of so many series, empty
    block: Callable[[np.random.Generator, int, int], Block]  # of so many rows, for so many series
    in_a_row: Callable[[int], int]  # how many of so many series a row updates
    events: int = 1  # of each series that are measured, or more: what it does now and then has its turn

    def rows(self, series: int, events: int) -> int:
        """Return how many rows bring so many events to each of so many series."""
        return events * series // self.in_a_row(series)


def rows(kind: Kind, series: int) -> int:
    """Return the rows of a block, at most 2,000 and no more than UPDATES updates."""
    return min(MAX_ROWS, UPDATES // kind.in_a_row(series))


def blocks(kind: Kind, series: int) -> int:
    """Return how many blocks are measured."""
    count = rows(kind, series)
    updates = count * kind.in_a_row(series)
    return max(math.ceil(kind.rows(series, kind.events) / count), math.ceil(MEASURED / updates))


def ratio(costs: Costs, compared: Iterable[str]) -> float:
    """Return what all kinds together cost where they are dearest to what they cost where they are cheapest."""
    sums = [sum(cost for (_, place), cost in costs.items() if place == here) for here in compared]
    return max(sums) / min(sums)


def _adwin(series: int) -> AdwinBank:
    return AdwinBank(np.full(series, 1e-6), gate=Gate(MIN_EVENTS, np.full(series, RANK_GATE), np.full(series, 0.5)))


def _page_hinkley(series: int) -> PageHinkleyBank:
    return PageHinkleyBank.verdict(
        np.full(series, 30.0), Gate(MIN_EVENTS, np.full(series, NORMAL_SCORE_GATE), np.zeros(series))
    )


def _windows(series: int) -> WindowBank:
    sizes = np.full(series // COLUMNS, WINDOW_SEGMENT)
    return WindowBank(sizes, np.full(COLUMNS, BINS), np.full(COLUMNS, QUANTILE_CELLS), COLUMNS)


def _counted(draw: np.random.Generator, count: int, series: int) -> Block:
    """Return codes, cells, grid codes and values; a row is in one cell, whichever it is."""
    return (
        draw.integers(0, BINS, (count, COLUMNS), np.int32),
        draw.integers(0, series // COLUMNS, (count, 1), np.int32),
        draw.integers(0, QUANTILE_CELLS, (count, COLUMNS), np.int32),
        draw.random((count, COLUMNS)),
    )


KINDS = (
    Kind("adwin", _adwin, lambda draw, count, series: (draw.random((count, series)),), lambda series: series),
    Kind(
        "page_hinkley",
        _page_hinkley,
        lambda draw, count, series: (np.clip(draw.standard_normal((count, series)), -CLIP, CLIP),),
        lambda series: series,
    ),
    Kind("windows", _windows, _counted, lambda _: COLUMNS, WINDOW_SEGMENT),
)
