"""What the reference tells of how right the model will be: part of the baseline."""

from __future__ import annotations

import msgspec

from services.detector.estimates.calibration import Calibration
from services.detector.estimates.loss_tree import LossTree


class EstimateReference(msgspec.Struct, frozen=True, kw_only=True, eq=False, omit_defaults=True):
    """How to estimate, and how wrong the model was on the rows that this was learned from."""

    rows: int = 0  # labelled ones
    loss: float = 0.0  # share of errors, or the mean absolute error, of those rows
    spread: float = 0.0  # standard deviation of one row's loss
    calibrations: list[Calibration] = []  # of the positive class's score, or of each class's
    tree: LossTree | None = None  # of a regression
    reason: str = ""  # why nothing is estimated; empty where something is
