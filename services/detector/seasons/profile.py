"""What is usual at each hour of the week: counts of every column."""

from __future__ import annotations

from typing import Self

import msgspec
import numpy as np

from services.detector.structs import CodeArray, IntArray


class Profile(msgspec.Struct, frozen=True):
    """The rows of one cell by pools of hours."""

    pools: np.ndarray  # int64 [HOURS]: the pool of each hour of the week
    counts: np.ndarray  # int32 [pools, codes of all columns side by side]
    scores: np.ndarray  # int32 [pools, bins of normal scores of all numeric columns side by side]; of all traffic only

    @classmethod
    def of_column(cls, pools: IntArray, counts: CodeArray) -> Self:
        """Return the profile of one column, counts [pools, codes]."""
        return cls(pools, counts, counts[:, :0])


class SeasonBound(msgspec.Struct, frozen=True):
    """A column of one cell that the reference shows to go by the hour."""

    column: int
    cell: int
    profile: Profile  # of this column alone
