"""What the reference tells of how right the model will be: part of the baseline."""

from __future__ import annotations

import msgspec
import numpy as np

from services.detector.estimates.calibration import Calibration


class LossTree(msgspec.Struct, frozen=True, eq=False):
    """Nodes as arrays, node 0 the root. A value goes to `below` up to the cut, else to `above`; NaN to the larger."""

    columns: list[str]  # what is split, by name
    levels: list[list[str]]  # of categorical columns, by rising mean loss; empty for numbers
    column: np.ndarray  # int64 [nodes], -1 in leaves
    cut: np.ndarray  # float64 [nodes]
    below: np.ndarray  # int64 [nodes]
    above: np.ndarray  # int64 [nodes]
    missing: np.ndarray  # int64 [nodes], where NaN goes
    losses: np.ndarray  # float64 [nodes, 3]: means of |error|, of its square and of its fourth power


class EstimateReference(msgspec.Struct, frozen=True, kw_only=True, eq=False, omit_defaults=True):
    """How to estimate, and how wrong the model was on the rows that this was learned from."""

    rows: int = 0  # labelled ones
    loss: float = 0.0  # share of errors, or the mean absolute error, of those rows
    spread: float = 0.0  # standard deviation of one row's loss
    calibrations: list[Calibration] = []  # of the positive class's score, or of each class's
    tree: LossTree | None = None  # of a regression
    reason: str = ""  # why nothing is estimated; empty where something is
