"""From a reference to the shares of its segments and labels, each tested against its own windows."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np

from services.detector.baseline import Segmentation
from services.detector.column_build import DECILES, per_cell
from services.detector.intervals import intervals_of
from services.detector.mixes.reference import LABEL_SHARES, SEGMENT_SHARES, WINDOW_ROWS, Mix, counted
from services.detector.reference_table import ReferenceColumn, ReferenceTable
from services.detector.segments import Memberships
from services.detector.selftest import REFERENCE_WINDOWS, UNSTEADY, own_windows
from services.detector.signals.columns import Codes
from services.detector.signals.labelled import class_codes
from services.detector.structs import FloatArray, IntArray
from shared.events.block import LABEL

_NO_EDGES = np.zeros(0)


def build_mixes(
    table: ReferenceTable,
    raw: Sequence[ReferenceColumn],
    segmentations: Sequence[Segmentation],
    cells: Sequence[str],
    memberships: Memberships,
    untested: str,
) -> list[Mix]:
    """Return every dimension that is no feature, and the labels where there are any; gains have no shares.

    untested: why the order of the reference's rows says nothing; empty where it does.
    """
    features = {column.name for column in raw}
    found = []
    for place, segmentation in enumerate(segmentations, 1):
        (dimension, *more), names = segmentation.dimensions, list(cells[segmentation.first : segmentation.other + 1])
        if more or dimension in features:
            continue  # the shares of a feature's values are those of its own column
        codes = memberships[:, place].astype(np.int64) - segmentation.first
        mix = _mix(dimension, SEGMENT_SHARES, names, codes, _NO_EDGES, untested)
        found.append(msgspec.structs.replace(mix, place=place, first_cell=segmentation.first))
    if table.has(LABEL) and table.spec.task != "ranking":
        found.append(_labels(table, memberships, len(cells), untested))
    return found


def _labels(table: ReferenceTable, memberships: Memberships, cells: int, untested: str) -> Mix:
    if table.spec.task != "regression":
        (codes,) = class_codes(table.classes, (table.table.column(LABEL),))
        return _of_labels(table.classes, codes, _NO_EDGES, memberships, cells, untested)
    values = table.numbers(LABEL)
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, DECILES)) if known.size else _NO_EDGES
    texts = ["-inf", *(f"{edge:.4g}" for edge in edges.tolist()), "inf"]
    names = [f"({low}, {high}]" for low, high in pairwise(texts)]
    return _of_labels(names, intervals_of(values, edges), edges, memberships, cells, untested)


def _of_labels(
    names: Sequence[str], codes: Codes, edges: FloatArray, memberships: Memberships, cells: int, untested: str
) -> Mix:
    known = codes >= 0
    mix = _mix(LABEL, LABEL_SHARES, names, codes[known].astype(np.int64), edges, untested)
    return msgspec.structs.replace(mix, by_cell=per_cell(codes, len(names), memberships, cells))


def _mix(name: str, detector: str, names: Sequence[str], codes: IntArray, edges: FloatArray, untested: str) -> Mix:
    counts, phi, reason = counted(codes, len(names)), 1.0, untested
    rows, needed = int(counts.sum()), REFERENCE_WINDOWS * WINDOW_ROWS
    if rows < needed:
        reason = f"reference is thin ({rows} rows; needs {needed})"
    elif not untested:
        own = own_windows(codes.astype(np.int32), WINDOW_ROWS, counts, ordered=edges.size > 0)
        phi = own.phi
        reason = f"{UNSTEADY}: its own windows differ by PSI up to {own.peak:.2g}" if own.is_unsteady else ""
    return Mix(
        name=name,
        detector=detector,
        names=list(names),
        counts=counts,
        edges=edges,
        phi=phi,
        reason=reason,
        by_cell=np.zeros((0, 0), np.int64),
    )
