"""Sequential detectors of numeric columns on all traffic: their constants, and their test on the reference itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.detector import budget
from services.detector.banks.adwin import AdwinBank
from services.detector.banks.detections import Gate
from services.detector.banks.page_hinkley import VERDICT_DELTA, PageHinkleyBank
from services.detector.baseline import Column, Sequential
from services.detector.ranks import Ranking, normal_scores
from services.detector.state import Fields, pack, unpack
from services.detector.structs import FloatArray

MIN_EVENTS = 200  # since a detection's own onset, before its effect is judged
NORMAL_SCORE_GATE = 0.32
RANK_GATE = 0.09
NEEDED_ROWS = 5_000
ALARMS = "alarms on the reference itself"
WARM_ROWS = 2_000  # of the reference's end that ADWIN starts from
_WINDOW, _WINDOW_VERSION = "adwin-window", 1


def page_hinkley_bank(
    normal_means: FloatArray, share: float, rows_per_week: float, gates: FloatArray | None = None
) -> PageHinkleyBank:
    """Return one Page-Hinkley test per column around its reference mean, together worth `share` a week.

    gates: per column, how many times the usual a shift must be to matter.
    """
    usual = np.ones(normal_means.size) if gates is None else gates
    threshold = budget.page_hinkley_threshold(share, rows_per_week * max(normal_means.size, 1), VERDICT_DELTA)
    gate = Gate(MIN_EVENTS, NORMAL_SCORE_GATE * usual, normal_means)
    return PageHinkleyBank.verdict(np.full(normal_means.size, threshold), gate)


def adwin_bank(series: int, share: float, rows_per_week: float, gates: FloatArray | None = None) -> AdwinBank:
    """Return one ADWIN per column on mid-ranks, together worth `share` a week; `gates` as of Page-Hinkley."""
    usual = np.ones(series) if gates is None else gates
    delta = budget.adwin_delta(share, rows_per_week * max(series, 1))
    return AdwinBank(np.full(series, delta), gate=Gate(MIN_EVENTS, RANK_GATE * usual, np.full(series, 0.5)))


def keep_window(window: Fields) -> bytes:
    """Return the bytes of an ADWIN window for the baseline."""
    return pack(_WINDOW, _WINDOW_VERSION, window)


def read_window(content: bytes) -> Fields:
    """Return the window that `keep_window` kept; `AdwinBank.seed` takes it."""
    return unpack(_WINDOW, _WINDOW_VERSION, content)


def self_test_sequential(
    columns: Sequence[tuple[int, Column, FloatArray]],
    unsteady: Sequence[str],
    shares: budget.Shares,
    rows_per_week: float,
    *,
    is_tested: bool,
) -> list[Sequential]:
    """Return which detectors run, by running them over the reference in time order.

    columns: place, column and values of each numeric column; unsteady: per column, why it has no such detector whatever
    they would say; empty to ask them. is_tested: whether the order of the reference's rows says anything; else all run.
    """
    if not columns:
        return []
    ranks = np.column_stack([Ranking(column).place(values)[1] for _, column, values in columns])
    means = np.array([column.normal_mean for _, column, _ in columns])
    gates = np.array([column.shift_gate for _, column, _ in columns])
    page_hinkley = page_hinkley_bank(means, shares.page_hinkley, rows_per_week, gates)
    adwin = adwin_bank(len(columns), shares.adwin, rows_per_week, gates)
    alarmed_mean = set(page_hinkley.update(normal_scores(ranks)).series.tolist())
    alarmed_rank = set(adwin.update(ranks).series.tolist())
    warm = adwin_bank(len(columns), shares.adwin, rows_per_week)
    warm.update(ranks[-WARM_ROWS:])
    found = []
    for series, (place, _, values) in enumerate(columns):
        known = int((~np.isnan(values)).sum())
        why = unsteady[series] or (
            f"reference is thin ({known} rows; needs {NEEDED_ROWS})" if known < NEEDED_ROWS else ""
        )
        has_window = is_tested and not why and series not in alarmed_rank
        found.append(
            Sequential(
                column=place,
                page_hinkley=why or (ALARMS if is_tested and series in alarmed_mean else ""),
                adwin=why or (ALARMS if is_tested and series in alarmed_rank else ""),
                adwin_window=keep_window(warm.window(series)) if has_window else b"",
            )
        )
    return found
