"""The step of `step.py` as a loop over events: an object of river for each series, lists and dicts for the counts.

What one would write first. It knows the same baseline and takes events as a decoder leaves them: a value for each
source of a column, never missing, and a text for each dimension of the segments. Its state is the banks', row by row.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from math import inf
from statistics import NormalDist
from typing import Any

import numpy as np

from services.detector.baseline import Baseline, Column, Segmentation, window_rows
from services.detector.grid import Grid, RankScale
from services.detector.ranks import CLIP
from shared.events.block import SEGMENT_PREFIX

Event = Mapping[str, Any]  # by source
Detectors = Callable[[], Any]

_quantile = NormalDist().inv_cdf


class EventLoop:
    """Signals and detectors of one model version whose segments have one dimension each."""

    def __init__(self, baseline: Baseline, adwin: Detectors, page_hinkley: Detectors) -> None:
        self._scales = [_Scale(baseline.columns[place]) for place in baseline.numeric]
        self._texts = [column.source for column in baseline.columns if not column.is_numeric]
        self._cells = [_Cells(segmentation) for segmentation in baseline.segmentations]
        self.adwin = [adwin() for _ in self._scales]
        self.page_hinkley = [page_hinkley() for _ in self._scales]
        self.windows = [self._opened(window_rows(cell)) for cell in range(len(baseline.cells))]
        self.detections = 0

    def fold(self, event: Event) -> None:
        """Take one event."""
        cells = [0, *(cells.of(event) for cells in self._cells)]
        windows = [self.windows[cell] for cell in cells]
        for place, source in enumerate(self._texts):
            text = event[source]
            for window in windows:
                levels = window.levels[place]
                levels[text] = levels.get(text, 0) + 1
        for place, scale in enumerate(self._scales):
            self._fold_number(place, scale, event[scale.source], windows)
        for cell, window in zip(cells, windows, strict=True):
            window.filled += 1
            if window.filled == window.size:
                self.windows[cell] = self._opened(window.size)

    def _fold_number(self, place: int, scale: _Scale, value: float, windows: list[Window]) -> None:
        code, cell = bisect_left(scale.edges, value), bisect_left(scale.grid_edges, value)
        rank = scale.rank(value, cell)
        adwin, page_hinkley = self.adwin[place], self.page_hinkley[place]
        adwin.update(rank)
        page_hinkley.update(max(-CLIP, min(_quantile(rank), CLIP)))
        self.detections += adwin.drift_detected + page_hinkley.drift_detected
        for window in windows:
            window.bins[place][code] += 1
            window.grid[place][cell] += 1
            window.moments[place].add(value)

    def _opened(self, size: int) -> Window:
        return Window(size, self._scales, len(self._texts))


class Moments:
    """Welford's, of one series."""

    __slots__ = ("events", "maximum", "mean", "minimum", "squares")

    def __init__(self) -> None:
        self.events = 0
        self.mean = self.squares = 0.0
        self.minimum, self.maximum = inf, -inf

    def add(self, value: float) -> None:
        """Take one value."""
        self.events += 1
        difference = value - self.mean
        self.mean += difference / self.events
        self.squares += difference * (value - self.mean)
        if value < self.minimum:  # noqa: PLR1730 - as fast as the loop can be: a call takes longer
            self.minimum = value
        if value > self.maximum:  # noqa: PLR1730 - the same
            self.maximum = value


class Window:
    """The open window of one cell; lists are indexed by the place among the numeric or the categorical columns."""

    __slots__ = ("bins", "filled", "grid", "levels", "moments", "size")

    def __init__(self, size: int, scales: list[_Scale], texts: int) -> None:
        self.size, self.filled = size, 0
        self.bins = [[0] * (len(scale.edges) + 1) for scale in scales]
        self.grid = [[0] * (len(scale.grid_edges) + 1) for scale in scales]
        self.moments = [Moments() for _ in scales]
        self.levels: list[dict[str, int]] = [{} for _ in range(texts)]


class _Scale:
    """What the baseline knows of a numeric column, as lists."""

    def __init__(self, column: Column) -> None:
        scale = RankScale.of(Grid(column.grid_edges), np.asarray(column.grid_counts[0], np.int64))
        self.source = column.source
        self.edges: list[float] = column.edges.tolist()
        self.grid_edges: list[float] = column.grid_edges.tolist()
        self._below: list[float] = scale.below.tolist()
        self._slope: list[float] = scale.slope.tolist()
        self._left: list[float] = scale.left.tolist()
        self._margin = scale.margin

    def rank(self, value: float, cell: int) -> float:
        """Return the mid-rank of a value in a cell of the grid."""
        slope = self._slope[cell]
        offset = value - self._left[cell] if slope > 0.0 else 0.0
        return max(self._margin, min(self._below[cell] + slope * offset, 1.0 - self._margin))


class _Cells:
    """From the text of a dimension to the cell."""

    def __init__(self, segmentation: Segmentation) -> None:
        (dimension,) = segmentation.dimensions
        self._source = f"{SEGMENT_PREFIX}{dimension}"
        self._cells = {text: segmentation.first + at for at, (text,) in enumerate(segmentation.combinations)}
        self._other = segmentation.other

    def of(self, event: Event) -> int:
        return self._cells.get(event[self._source], self._other)
