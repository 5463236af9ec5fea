"""One column of the baseline from one column of the reference: bins, grid, and counts in every cell."""

from __future__ import annotations

import msgspec
import numpy as np
import numpy.typing as npt

from services.detector.baseline import WINDOW_ALL, Column
from services.detector.grid import Grid
from services.detector.intervals import intervals_of
from services.detector.ranks import Ranking, normal_scores
from services.detector.reference_table import ReferenceColumn
from services.detector.segments import Memberships
from services.detector.signals.columns import MISSING, Codes
from shared.values import MISSING_LEVEL, OTHER_LEVEL

DECILES = np.arange(1, 10) / 10
MAX_LEVELS = 1_000  # the most frequent; the rest of the reference is `__other__`


def build_column(raw: ReferenceColumn, memberships: Memberships, cells: int) -> tuple[Column, Codes]:
    """Return the column and the bin of each row of the reference, -1 missing."""
    if raw.is_numeric:
        return _numeric(raw, memberships, cells)
    return _categorical(raw, memberships, cells)


def _numeric(raw: ReferenceColumn, memberships: Memberships, cells: int) -> tuple[Column, Codes]:
    known = raw.values[~np.isnan(raw.values)]
    edges = np.unique(np.quantile(known, DECILES)) if known.size else np.zeros(0)
    grid = Grid.of(known)
    codes = intervals_of(raw.values, edges)
    place = grid.locate(raw.values)
    grid_counts = per_cell(place, grid.cells, memberships, cells).astype(np.int32)
    values = known if known.size else np.zeros(1)
    column = Column(
        name=raw.name,
        source=raw.source,
        role=raw.role,
        kind=raw.kind,
        counts=per_cell(codes, edges.size + 1, memberships, cells),
        missing=_missing(codes, memberships, cells),
        missing_peak=_missing_peak(codes),
        edges=edges,
        grid_edges=grid.edges,
        grid_counts=grid_counts,
        minimum=raw.minimum,
        maximum=raw.maximum,
        outside=raw.outside,
        gate=raw.gate,
        mean=float(values.mean()),
        sd=float(values.std()),
        median=float(np.median(values)),
        low=float(values.min()),
        high=float(values.max()),
    )
    scores = normal_scores(Ranking(column).place(known)[1])
    return msgspec.structs.replace(column, normal_mean=float(scores.mean()) if known.size else 0.0), codes


def _categorical(raw: ReferenceColumn, memberships: Memberships, cells: int) -> tuple[Column, Codes]:
    counts = np.bincount(raw.codes + 1, minlength=len(raw.texts) + 1)
    held = [(text, int(count)) for text, count in zip(raw.texts, counts[1:], strict=True) if count]
    levels = {text for text, _ in sorted(held, key=lambda pair: (-pair[1], pair[0]))[:MAX_LEVELS]}
    if len(held) > len(levels):
        levels.add(OTHER_LEVEL)
    if counts[0]:
        levels.add(MISSING_LEVEL)
    ordered = sorted(levels)
    places = {level: place for place, level in enumerate(ordered)}
    table = [places.get(text, places.get(OTHER_LEVEL, MISSING)) for text in raw.texts]
    codes = np.array([*table, places.get(MISSING_LEVEL, MISSING)], dtype=np.int32)[raw.codes]
    once = sum(1 for _, count in held if count == 1)
    column = Column(
        name=raw.name,
        source=raw.source,
        role=raw.role,
        kind=raw.kind,
        counts=per_cell(codes, len(ordered), memberships, cells),
        missing=_missing(codes, memberships, cells),
        missing_peak=_missing_peak(raw.codes),
        edges=np.zeros(0),
        grid_edges=np.zeros(0),
        grid_counts=np.zeros((cells, 0), dtype=np.int32),
        levels=ordered,
        gate=raw.gate,
        singletons=once / max(int(counts[1:].sum()), 1),
    )
    return column, codes


def per_cell(codes: Codes, bins: int, memberships: Memberships, cells: int) -> npt.NDArray[np.int64]:
    """Return counts of codes >= 0 in every cell, shape (cells, bins)."""
    counts = np.zeros(cells * bins, dtype=np.int64)
    known = codes >= 0
    for membership in memberships.T:
        counts += np.bincount(membership[known].astype(np.int64) * bins + codes[known], minlength=cells * bins)
    return counts.reshape(cells, bins)


def _missing(codes: Codes, memberships: Memberships, cells: int) -> npt.NDArray[np.int64]:
    return np.bincount(memberships[codes < 0].ravel(), minlength=cells)


def _missing_peak(codes: Codes) -> float:
    starts = np.arange(0, codes.size, WINDOW_ALL)
    rows = np.diff(np.append(starts, codes.size))
    whole = (rows == WINDOW_ALL) | (codes.size < WINDOW_ALL)
    missing = np.add.reduceat((codes < 0).astype(np.int64), starts)
    return float((missing / rows)[whole].max())
