"""How much of a loss is another mix, and how much the model doing worse at the same things.

The reference is reweighted to the mix of the present, bin by bin: what its loss would then have been, less what it was,
is the part of the mix (of X); the rest of the difference is that of the relation to the truth (of Y given X). Kitagawa,
Components of a difference between two rates, 1955.
"""

from __future__ import annotations

import math

import numpy as np

from services.detector.causes.strata import Strata
from services.detector.statistics.proportions import standard_error
from services.detector.structs import FloatArray, IntArray
from shared.events.alert import LossBin, LossCause, LossParts

COVARIATE_SHARE, CONCEPT_SHARE = 0.6, 0.4  # of the mix in a loss: from, and up to
LEAST_ERRORS = 2.0  # standard errors that a loss must be for anything to be said of it
SEGMENT_ERRORS = 3.0  # and a single segment, to count as changed: there are many


def loss_parts(error: str, cut: Strata, labels: IntArray, errors: IntArray) -> LossParts:
    """Return the parts of the loss of some labelled rows, counted in the bins of a cut; at least one is."""
    before, now = _rate(cut.errors, cut.labels), _rate(errors, labels)
    expected = float((labels * _rates(cut, before)).sum() / labels.sum())
    counted = ((errors, labels), (cut.errors, cut.labels))
    se = math.hypot(*(standard_error(int(some.sum()), int(of.sum())) for some, of in counted))
    x_part, rest = expected - before, now - expected
    return LossParts(
        error=error,
        by=cut.by,
        loss=now,
        reference_loss=before,
        x_part=x_part,
        rest=rest,
        se=se,
        verdict=_verdict(now - before, x_part, se),
        bins=[
            LossBin(name=name, labels=n, errors=e, reference_labels=m, reference_errors=f)
            for name, n, e, m, f in zip(
                cut.names, labels.tolist(), errors.tolist(), cut.labels.tolist(), cut.errors.tolist(), strict=True
            )
        ],
    )


def is_mix_alone(parts: LossParts) -> bool:
    """Tell whether segments make up a loss: their shares moved, and each does as well as before."""
    if parts.verdict is not LossCause.COVARIATE or len(parts.bins) < 2:
        return False
    scores = [
        (_share(b.errors, b.labels) - _share(b.reference_errors, b.reference_labels))
        / math.hypot(standard_error(b.errors, b.labels), standard_error(b.reference_errors, b.reference_labels))
        for b in parts.bins
        if b.labels and b.reference_labels
    ]
    unknown = sum(b.labels for b in parts.bins if not b.reference_labels)
    is_known = unknown * 2 < sum(b.labels for b in parts.bins)
    return is_known and all(abs(score) < SEGMENT_ERRORS for score in scores)


def _verdict(difference: float, x_part: float, se: float) -> LossCause:
    if difference < LEAST_ERRORS * se:
        return LossCause.UNKNOWN
    share = x_part / difference
    if share >= COVARIATE_SHARE:
        return LossCause.COVARIATE
    return LossCause.CONCEPT if share <= CONCEPT_SHARE else LossCause.MIXED


def _rates(cut: Strata, overall: float) -> FloatArray:
    """Return the reference's loss in each bin; that of all its rows where it has none in a bin."""
    return np.where(cut.labels > 0, cut.errors / np.maximum(cut.labels, 1), overall)


def _rate(errors: IntArray, labels: IntArray) -> float:
    return _share(int(errors.sum()), int(labels.sum()))


def _share(errors: int, labels: int) -> float:
    return errors / labels if labels else 0.0
