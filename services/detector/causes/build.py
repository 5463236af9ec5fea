"""The reference's errors per bin of the score and per segment: what the mix of the present is set into."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from services.detector.baseline import Segmentation
from services.detector.causes.bins import numeric_bins
from services.detector.causes.strata import Strata
from services.detector.reference_table import ReferenceColumn, ReferenceTable
from services.detector.segments import Memberships
from services.detector.signals.labelled import class_codes, difference
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray, IntArray
from shared.events.block import LABEL, PREDICTION, SCORE
from shared.values import OTHER_LEVEL

BINS = 10  # of the score: equal shares of the reference's labelled rows
MISSING = "missing"
_NO_EDGES, _NO_CLASSES = np.zeros(0), np.zeros(0, np.int64)


def build_strata(
    table: ReferenceTable,
    raw: Sequence[ReferenceColumn],
    segmentations: Sequence[Segmentation],
    cells: Sequence[str],
    memberships: Memberships,
    high_error: float,
) -> list[Strata]:
    """Return every cut of the reference's labelled rows, that by the score or the prediction first.

    Of a ranking there is none: a bin counts errors, and its loss is anything from 0 to 1.

    memberships: [rows, 1 + segmentations]; high_error: of a regression, the size from which an error counts.
    """
    if table.spec.task == "ranking":
        return []
    if table.spec.task == "regression":
        values = table.numbers(PREDICTION)
        residuals = difference(values, table.numbers(LABEL))
        both, wrong = ~np.isnan(residuals), np.abs(residuals) > high_error
        first = _by_number(PREDICTION, values[both], wrong[both])
    else:
        predicted, actual = class_codes(table.classes, (table.table.column(PREDICTION), table.table.column(LABEL)))
        both, wrong = (predicted >= 0) & (actual >= 0), predicted != actual
        scores = next((column.values for column in raw if column.name == SCORE), None)
        if scores is None:
            codes = np.minimum(predicted[both], len(table.classes)).astype(np.int64)
            first = _by_class(table.classes, codes, wrong[both])
        else:
            first = _by_number(SCORE, scores[both], wrong[both])
    found = [first]
    for place, segmentation in enumerate(segmentations, 1):
        bins = memberships[both, place].astype(np.int64) - segmentation.first
        names = list(cells[segmentation.first : segmentation.other + 1])
        labels, errors = _counted(bins, wrong[both], len(names))
        found.append(
            Strata(
                by=",".join(segmentation.dimensions),
                names=names,
                labels=labels,
                errors=errors,
                edges=_NO_EDGES,
                of_class=_NO_CLASSES,
                membership=place,
                first_cell=segmentation.first,
            )
        )
    return found


def _by_number(by: str, values: FloatArray, wrong: BoolArray) -> Strata:
    known = values[~np.isnan(values)]
    edges = np.unique(np.quantile(known, np.arange(1, BINS) / BINS, method="inverted_cdf")) if len(known) else _NO_EDGES
    edges = edges[edges < known.max()] if len(known) else edges
    texts = ["-inf", *(f"{edge:.4g}" for edge in edges.tolist()), "inf"]
    names = [*(f"({low}, {high}]" for low, high in pairwise(texts)), MISSING]
    labels, errors = _counted(numeric_bins(values, edges), wrong, len(names))
    return Strata(by=by, names=names, labels=labels, errors=errors, edges=edges, of_class=_NO_CLASSES)


def _by_class(classes: Sequence[str], codes: IntArray, wrong: BoolArray) -> Strata:
    """Give the most frequent predictions a bin each, and the others one together."""
    counts = np.bincount(codes, minlength=len(classes) + 1)[:-1]
    ranked = sorted(range(len(classes)), key=lambda code: (-int(counts[code]), code))
    kept = sorted(ranked[: BINS - 1])
    of_class = np.full(len(classes) + 1, len(kept), np.int64)
    of_class[kept] = np.arange(len(kept))
    names = [*(classes[code] for code in kept), OTHER_LEVEL]
    labels, errors = _counted(of_class[codes], wrong, len(names))
    return Strata(by=PREDICTION, names=names, labels=labels, errors=errors, edges=_NO_EDGES, of_class=of_class)


def _counted(bins: IntArray, wrong: BoolArray, count: int) -> tuple[IntArray, IntArray]:
    return np.bincount(bins, minlength=count), np.bincount(bins[wrong], minlength=count)
