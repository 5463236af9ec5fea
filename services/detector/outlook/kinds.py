"""Every kind of detector that the budget knows, with what foretells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from services.detector.baseline import Baseline
from services.detector.budget import Kind, Shares, window_levels
from services.detector.outlook.closed import of_closed_cohorts
from services.detector.outlook.coded import of_e_detector, of_rare_levels
from services.detector.outlook.days import of_day_windows
from services.detector.outlook.pairs import of_pairs
from services.detector.outlook.performance import of_performance
from services.detector.outlook.sequential import of_adwin, of_page_hinkley
from services.detector.outlook.series import Outlook
from services.detector.outlook.windows import of_windows, windows_per_week


def of_count_windows(baseline: Baseline, shares: Shares) -> Outlook:
    """Return the outlook of windows of rows: those of columns in every cell, and those of pairs."""
    columns = of_windows(baseline, shares)
    pairs = of_pairs(baseline, window_levels(shares.windows, windows_per_week(baseline)))
    return Outlook(
        false_per_week=columns.false_per_week + pairs.false_per_week,
        is_bound=False,
        series=[*columns.series, *pairs.series],
    )


def of_quality(_baseline: Baseline, shares: Shares) -> Outlook:
    """Return the outlook of shares of rows that are amiss: their tests may spend all that they have."""
    return Outlook(false_per_week=shares.data_quality, is_bound=True, series=[])


OUTLOOKS: Mapping[Kind, Callable[[Baseline, Shares], Outlook]] = MappingProxyType(
    {
        Kind.WINDOWS: of_count_windows,
        Kind.DAY_WINDOWS: of_day_windows,
        Kind.PAGE_HINKLEY: of_page_hinkley,
        Kind.ADWIN: of_adwin,
        Kind.E_DETECTOR: of_e_detector,
        Kind.RARE_LEVELS: of_rare_levels,
        Kind.PERFORMANCE: of_performance,
        Kind.CLOSED_COHORTS: of_closed_cohorts,
        Kind.DATA_QUALITY: of_quality,
    }
)


def outlook(kind: Kind, baseline: Baseline, shares: Shares) -> Outlook:
    """Return a kind's outlook."""
    return OUTLOOKS[kind](baseline, shares)
