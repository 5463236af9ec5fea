"""What a kind of detector promises before anything runs: its false detections, and the smallest shift it finds.

False detections are expected ones per stream week of a stream that does not change, after the kind's effect gate. A
shift is found when the detector fires within a week of it in half of the cases.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from services.detector.baseline import Baseline

PERFORMANCE = "performance"  # the kind of a monitor's series, beside a column's `numeric` and `categorical`


class Binds(StrEnum):
    """What the smallest shift has to pass to be found: the larger of two thresholds."""

    BUDGET = "budget"
    GATE = "gate"


class Sight(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The smallest shift that a series finds within a week, in the terms that it has."""

    psi: float | None = None
    sd: float | None = None  # shift of the mean in standard deviations of a normal column
    rate: float | None = None  # of errors
    reference_rate: float | None = None
    correlation: float | None = None  # difference of a coefficient
    change: float | None = None  # of an area under a curve, or of the share of positive labels at a score


class Series(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One detector on one column, or on one monitor, of one cell."""

    name: str  # the column's or the monitor's
    segment: str
    kind: str
    detector: str  # as culprits of alerts name it
    why_not: str = ""  # why it does not page; empty where it does
    binds: Binds | None = None  # None where it does not page, or sees too few events for either
    sight: Sight | None = None
    why_blind: str = ""  # why it finds nothing within a week, though it may page


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of detector on one model."""

    false_per_week: float
    is_bound: bool  # at most so many; otherwise about as many
    series: list[Series]


def rows_per_week(baseline: Baseline) -> float:
    """Return the declared pace; without one, a week is taken to bring as many rows as the reference has."""
    return baseline.rows_per_week or float(baseline.rows)
