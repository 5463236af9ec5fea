"""What scores have come to mean, computed again from the labels of each group of scores that an incident names."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from services.cli.verify.number import Number
from services.detector.performance.closed.pool import calibration
from services.detector.performance.closed.reference import CALIBRATION, ClosedReference
from shared.events.alert import Culprit


def recount_calibration(named: str, culprit: Culprit, reference: ClosedReference) -> Iterator[Number]:
    """Yield every figure of a culprit; those of single groups only where they differ.

    The positive labels of a group follow from its contribution, and are whole.
    """
    if [part.name for part in culprit.bins] != reference.group_names:
        yield Number.compared(named, "bins", len(culprit.bins), len(reference.group_names))
        return
    labels, shares = (np.array([getattr(part, name) for part in culprit.bins]) for name in ("count", "contribution"))
    usual = (np.array(reference.group_positives) + 0.5) / (np.array(reference.group_labels) + 1.0)
    positives = np.rint(shares * culprit.window_rows + labels * usual).astype(np.int64)
    again = calibration(np.column_stack([labels - positives, positives]), reference)
    yield Number.compared(named, "events", culprit.window_rows, int(labels.sum()))
    yield Number.compared(named, f"value ({culprit.statistic})", culprit.value, again.value)
    yield Number.compared(named, "noise_floor", culprit.noise_floor, again.error)
    side = 1.0 if culprit.value > 0.0 else -1.0
    yield Number.compared(named, "threshold", culprit.threshold, reference.threshold(CALIBRATION, side))
    for part, before in zip(culprit.bins, reference.group_labels, strict=True):
        number = Number.compared(named, f"reference count of {part.name}", part.reference_count, before)
        if number.differs:
            yield number
