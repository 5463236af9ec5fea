"""The naive rules of the field, as they are used: each window, column and threshold for itself.

Windows are tumbling, a last partial one is left out. A column over its threshold in a window is one page, and so is
every detection of a sequential detector: these rules know no budget, no gate and no incident.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.stats import chi2_contingency, ks_2samp

from services.cli.demo.naive_columns import NO_BIN, Answers, Column, Traffic
from services.detector.banks.adwin import AdwinBank
from services.detector.banks.page_hinkley import PageHinkleyBank
from services.detector.statistics.distances import psi_floor
from services.detector.structs import IntArray

P_VALUE = 0.05
ACCURACY_DROP = 0.05
RMSE_RISE = 0.05
ADWIN_DELTA = 0.002  # river's defaults, as are those of the two banks
PAGE_HINKLEY_THRESHOLD = 50.0

Pages = list[int]  # the row at which each page goes out: of a window its last


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule by the name under which it is known."""

    name: str
    pages: Callable[[Traffic, int], Pages]  # of a model, with windows of so many rows


def psi_pages(column: Column, window_rows: int, threshold: float) -> Pages:
    """Return the windows whose population stability index exceeds `threshold`.

    Ten quantile bins of the reference, or levels; shares floored at 1e-4 and renormalised.
    """
    return [
        last
        for last, window, reference in _tables(column, window_rows)
        if window.any() and psi_floor(window, reference) > threshold
    ]


def p_value_pages(column: Column, window_rows: int) -> Pages:
    """Return the windows that a test at 5 % takes to differ from the reference.

    Numeric: the two-sided, two-sample Kolmogorov-Smirnov test with its asymptotic p-value. Categorical: chi-squared of
    homogeneity, with Yates' correction where there are two levels, as scipy's default is.
    """
    return [last for last, p in _p_values(column, window_rows) if p < P_VALUE]


def adwin_pages(column: Column) -> Pages:
    """Return the detections of river's ADWIN with its defaults on the values as they come."""
    return _detections(AdwinBank(np.full(1, ADWIN_DELTA)), column)


def page_hinkley_pages(column: Column) -> Pages:
    """Return the detections of river's Page-Hinkley with its defaults on the values as they come."""
    return _detections(PageHinkleyBank(np.full(1, PAGE_HINKLEY_THRESHOLD)), column)


def quality_pages(answers: Answers, window_rows: int) -> Pages:
    """Return the windows of labels whose accuracy is more than 5 points below the reference's.

    Of a regression: whose root mean squared error is more than 5 % above the reference's.
    """
    windows = len(answers.losses) // window_rows
    means = answers.losses[: windows * window_rows].reshape(windows, window_rows).mean(axis=1)
    usual = answers.reference_losses.mean()
    if answers.is_regression:
        is_worse = np.sqrt(means) > (1 + RMSE_RISE) * np.sqrt(usual)
    else:
        is_worse = means > usual + ACCURACY_DROP
    pages: Pages = answers.rows[window_rows - 1 :: window_rows][is_worse].tolist()
    return pages


def _of_columns(pages: Callable[[Column, int], Pages], traffic: Traffic, window_rows: int) -> Pages:
    return [row for column in traffic.columns for row in pages(column, window_rows)]


def _rule(name: str, pages: Callable[[Column, int], Pages]) -> Rule:
    return Rule(name, partial(_of_columns, pages))


RULES = (
    _rule("PSI > 0.1", partial(psi_pages, threshold=0.1)),
    _rule("PSI > 0.2", partial(psi_pages, threshold=0.2)),
    _rule("KS / chi-squared p < 0.05", p_value_pages),
    _rule("ADWIN (river's defaults)", lambda column, _: adwin_pages(column)),
    _rule("Page-Hinkley (river's defaults)", lambda column, _: page_hinkley_pages(column)),
    Rule("accuracy - 5 points / RMSE + 5 %", lambda traffic, rows: quality_pages(traffic.answers, rows)),
)


def _detections(bank: AdwinBank | PageHinkleyBank, column: Column) -> Pages:
    pages: Pages = bank.update(column.values[:, np.newaxis]).row.tolist()
    return pages


def _windows(rows: int, window_rows: int) -> Iterator[slice]:
    """Yield the whole windows of a stream."""
    return (slice(first, first + window_rows) for first in range(0, rows - window_rows + 1, window_rows))


def _tables(column: Column, window_rows: int) -> Iterator[tuple[int, IntArray, IntArray]]:
    """Yield each window's last row, its counts and the reference's, without bins that neither side fills."""
    for window in _windows(len(column.bins), window_rows):
        bins = column.bins[window]
        counts = np.bincount(bins[bins != NO_BIN], minlength=len(column.reference_counts))
        filled = counts + column.reference_counts > 0
        yield window.stop - 1, counts[filled], column.reference_counts[filled]


def _p_values(column: Column, window_rows: int) -> Iterator[tuple[int, float]]:
    if not column.is_numeric:
        for last, *table in _tables(column, window_rows):
            yield last, float(chi2_contingency(table).pvalue)
        return
    for window in _windows(len(column.values), window_rows):
        values = column.values[window]
        known = values[~np.isnan(values)]
        if known.size:
            yield window.stop - 1, float(ks_2samp(known, column.reference, method="asymp").pvalue)
