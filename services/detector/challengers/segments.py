"""The same comparison inside segments: where a version that is better over all traffic is worse.

All segments share a chance of their own, as large as that of all traffic, so that a verdict of a segment takes more
evidence the more of them there are, and none of all traffic takes any more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa

from services.detector.baseline import Baseline
from services.detector.challengers.betting import SIZES, STEPS, e_value, interval, mean, needed
from services.detector.challengers.comparison import Terms, differences_of, evidence, turned
from services.detector.segments import CellIndex
from services.detector.structs import IntArray
from shared.challengers import ChallengersSpec
from shared.events.comparison import SegmentComparison, Verdict
from shared.identity import content_hash

MAX_SEGMENTS = 64  # of a model; those of which pairs came first
MAX_TOLD = 16  # in an event; the worse ones first, then those with most evidence


class Part(msgspec.Struct):
    """What the pairs of one segment say."""

    counts: IntArray = msgspec.field(default_factory=lambda: np.zeros(SIZES, np.int64))  # pairs by difference
    verdict: Verdict = Verdict.UNDECIDED


Parts = dict[str, Part]  # by the segment's name, in the order of their first pairs


class Segments:
    """Which segments are compared, and what decides there."""

    def __init__(self, baseline: Baseline | None, spec: ChallengersSpec) -> None:
        self._index = None if baseline is None or not baseline.segmentations else CellIndex(baseline.segmentations)
        self._names = [] if baseline is None else baseline.cells
        self.compared = min(max(len(self._names) - 1, 0), MAX_SEGMENTS)
        self.needed = needed(spec.alpha, len(spec.versions) * max(self.compared, 1))
        self.terms = Terms(spec.margin, math.log(self.needed))
        self.hash = content_hash(msgspec.json.encode(self._names))

    def take(self, parts: Parts, batch: pa.RecordBatch, rows: Sequence[int], differences: IntArray) -> None:
        """Count pairs, which rows of a block completed, in the segments of these."""
        if self._index is None:
            return
        cells = self._index.of_batch(batch)[np.asarray(rows, np.int64), 1:]
        for cell in dict.fromkeys(cells.ravel().tolist()):
            name = self._names[cell]
            if name not in parts and len(parts) >= MAX_SEGMENTS:
                continue
            part = parts.setdefault(name, Part())
            part.counts += np.bincount(differences[(cells == cell).any(axis=1)] + STEPS, minlength=SIZES)
            part.verdict = turned(part.verdict, part.counts, self.terms)

    def told(self, parts: Parts) -> list[SegmentComparison]:
        """Return the segments with a verdict."""
        sure = [(name, part) for name, part in parts.items() if part.verdict is not Verdict.UNDECIDED]
        sure.sort(key=lambda one: (one[1].verdict is not Verdict.WORSE, -max(self._evidence(one[1])), one[0]))
        return [self._told(name, part) for name, part in sure[:MAX_TOLD]]

    def _evidence(self, part: Part) -> tuple[float, float]:
        return evidence(part.counts, self.terms.margin)

    def _told(self, name: str, part: Part) -> SegmentComparison:
        better, worse = self._evidence(part)
        low, high = interval(part.counts, self.terms.limit)
        return SegmentComparison(
            segment=name,
            verdict=part.verdict,
            pairs=int(part.counts.sum()),
            differences=differences_of(part.counts),
            estimate=mean(part.counts),
            estimate_low=low,
            estimate_high=high,
            e_better=e_value(better),
            e_worse=e_value(worse),
        )


def is_worse_somewhere(parts: Parts) -> bool:
    """Tell whether a segment is surely worse."""
    return any(part.verdict is Verdict.WORSE for part in parts.values())
