"""What the moments of one column of one window say, in numbers or None, never NaN."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class ColumnMoments:
    """Of the values that were there; None without one, or where the number is beyond the floats."""

    events: int
    mean: float | None
    sd: float | None  # population form
    minimum: float | None
    maximum: float | None

    @classmethod
    def of(cls, events: int, mean: float, squares: float, minimum: float, maximum: float) -> Self:
        """Return the moments that a bank kept; squares: the sum of squared deviations from the mean."""
        if events == 0:
            return cls(0, None, None, None, None)
        sd = math.sqrt(squares / events) if math.isfinite(squares) else None
        return cls(events, mean if math.isfinite(mean) else None, sd, minimum, maximum)
