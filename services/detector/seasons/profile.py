"""What is usual at each hour of the week, or in each month of the year: counts of every column."""

from __future__ import annotations

from typing import Literal, Self

import msgspec
import numpy as np

from services.detector.structs import CodeArray, IntArray

Cycle = Literal["week", "year"]


class Profile(msgspec.Struct, frozen=True):
    """The rows of one cell by pools of hours, or of months."""

    pools: np.ndarray  # int64 [HOURS] or [MONTHS]: the pool of each
    counts: np.ndarray  # int32 [pools, codes of all columns side by side]
    scores: np.ndarray  # int32 [pools, bins of normal scores of all numeric columns side by side]; of all traffic only

    @classmethod
    def of_column(cls, pools: IntArray, counts: CodeArray) -> Self:
        """Return the profile of one column, counts [pools, codes]."""
        return cls(pools, counts, counts[:, :0])


class SeasonBound(msgspec.Struct, frozen=True):
    """A column of one cell that the reference shows to go by a cycle."""

    column: int
    cell: int
    cycle: Cycle
    profile: Profile  # of this column alone
