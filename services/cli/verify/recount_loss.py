"""The parts of a loss, computed again from the counts of its bins and the baseline that the incident names."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from services.cli.verify.number import Number
from services.detector.baseline import Baseline
from services.detector.causes.parts import loss_parts
from shared.events.alert import LossParts

_FIGURES = ("loss", "reference_loss", "x_part", "rest", "se")


def recount_loss(parts: LossParts, baseline: Baseline) -> Iterator[Number]:
    """Yield every figure; the reference's counts, and what it is called, only where they differ."""
    named = f"loss of {parts.error} by {parts.by}"
    strata = [] if baseline.performance is None else baseline.performance.strata
    cut = next((cut for cut in strata if cut.by == parts.by), None)
    if cut is None or cut.names != [part.name for part in parts.bins]:
        yield Number.compared(named, "bins", len(parts.bins), 0 if cut is None else len(cut.names))
        return
    labels, errors = (np.array([getattr(part, name) for part in parts.bins], np.int64) for name in ("labels", "errors"))
    again = loss_parts(parts.error, cut, labels, errors)
    for name in _FIGURES:
        yield Number.compared(named, name, getattr(parts, name), getattr(again, name))
    for part, other in zip(parts.bins, again.bins, strict=True):
        for name in ("reference_labels", "reference_errors"):
            number = Number.compared(named, f"{name} of {part.name}", getattr(part, name), getattr(other, name))
            if number.differs:
                yield number
    if parts.verdict is not again.verdict:
        yield Number(named, f"verdict {parts.verdict}, which is {again.verdict}", None, None, differs=True)
