"""The reference's labelled rows in bins: of the score, or of the prediction where there is none; and of segments."""

from __future__ import annotations

import msgspec
import numpy as np


class Strata(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One cut of the reference's labelled rows, and how many of them the model got wrong in each bin.

    Bins of numbers are right-closed between `edges`, and the last is of missing ones. Bins of classes are those of
    `of_class`. Without either the bins are the cells of a segmentation, from `first_cell` on.
    """

    by: str  # `score`, `prediction`, or the dimensions of a segmentation joined by commas
    names: list[str]  # of the bins
    labels: np.ndarray  # int64 [bins]
    errors: np.ndarray  # int64 [bins]
    edges: np.ndarray  # float64; empty but for numbers
    of_class: np.ndarray  # int64 [classes + 1], the last of any other class; empty but for classes
    membership: int = 0  # which of a row's cells is the bin; 0: none
    first_cell: int = 0

    @property
    def is_of_segments(self) -> bool:
        """Tell whether the bins are segments."""
        return self.membership > 0
