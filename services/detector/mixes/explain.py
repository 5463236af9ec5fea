"""Whether a drift is nothing but another mix of segments: in none of them has anything moved.

The reference's segments are given the shares that they have in the window. A column that differs no more from that than
its gate allows has moved because the segments have, and not inside them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from services.detector.baseline import ALL, GATE_PSI, Baseline, Segmentation
from services.detector.mixes.reference import SEGMENT_SHARES, of_labels
from services.detector.statistics.verdict import judge
from services.detector.structs import FloatArray, IntArray
from shared.events.alert import Culprit


class MixJudge:
    """Judges the culprits of one baseline."""

    def __init__(self, baseline: Baseline) -> None:
        self._series = _series(baseline)
        self._dimensions = [s for s in baseline.segmentations if len(s.dimensions) == 1]
        self._cells = baseline.cells

    def explains(self, culprits: Sequence[Culprit], inside: Iterable[Culprit]) -> bool:
        """Tell whether the segments of one dimension moved, and nothing inside any of them.

        culprits: the leading ones; inside: those of segments.
        """
        moved = [*culprits, *inside]
        for segmentation in self._dimensions:
            (dimension,) = segmentation.dimensions
            carriers = [c for c in culprits if c.feature == dimension and c.segment == ALL]
            within = [c for c in moved if any(part.startswith(f"{dimension}=") for part in c.segment.split(","))]
            if not carriers or within:
                continue
            others = [c for c in culprits if c not in carriers]
            shares = self._shares(segmentation, carriers[0]) if others else None
            if all(shares is not None and self._is_explained(segmentation, shares, c) for c in others):
                return True
        return False

    def _shares(self, segmentation: Segmentation, carrier: Culprit) -> FloatArray | None:
        """Return the share of each cell of a segmentation in the carrier's window; None where it tells no counts."""
        total = sum(part.count for part in carrier.bins)
        if not total:
            return None
        cells = np.zeros(len(self._cells))
        first = {combination[0]: segmentation.first + at for at, combination in enumerate(segmentation.combinations)}
        named = {name: cell for cell, name in enumerate(self._cells)}
        for part in carrier.bins:
            is_named = carrier.detector == SEGMENT_SHARES
            at = named.get(part.name) if is_named else first.get(part.name, segmentation.other)
            cells[segmentation.other if at is None else at] += part.count / total
        return cells

    def _is_explained(self, segmentation: Segmentation, shares: FloatArray, culprit: Culprit) -> bool:
        found = self._series.get(culprit.feature)
        if found is None or not culprit.bins or culprit.segment != ALL:
            return False
        counts = np.array([part.count for part in culprit.bins], np.int64)
        if len(counts) != found.counts.shape[1] or not counts.sum():
            return False
        expected = _reweighted(found.counts, segmentation, shares)
        return judge(counts, expected, ordered=found.is_ordered, phi=found.phi).psi_debiased < found.gate


@dataclass(frozen=True, slots=True)
class _Series:
    """What the reference says of something in every cell."""

    counts: IntArray  # [cells, bins]
    is_ordered: bool
    phi: float
    gate: float


def _series(baseline: Baseline) -> dict[str, _Series]:
    """Return the columns, and the labels, by name."""
    phi = baseline.arming.phi[:, 0].tolist()
    found = {
        column.name: _Series(column.counts, column.is_numeric, phi[place], column.gate)
        for place, column in enumerate(baseline.columns)
    }
    labels = of_labels(baseline.mixes)
    if labels is not None:
        found[labels.name] = _Series(labels.by_cell, labels.is_ordered, labels.phi, GATE_PSI)
    return found


def _reweighted(counts: IntArray, segmentation: Segmentation, shares: FloatArray) -> IntArray:
    """Return the reference's counts, [bins], had its segments these shares."""
    cells = slice(segmentation.first, segmentation.other + 1)
    sizes = counts[cells].sum(axis=1, keepdims=True)
    whole = counts[0] / max(int(counts[0].sum()), 1)
    each = np.where(sizes > 0, counts[cells] / np.maximum(sizes, 1), whole)
    expected: IntArray = np.rint((shares[cells, None] * each).sum(axis=0) * counts[0].sum()).astype(np.int64)
    return expected
