"""Sequential detectors of ranks on all traffic: Page-Hinkley on normal scores and ADWIN on mid-ranks."""

from __future__ import annotations

import math

import numpy as np

from services.detector import budget
from services.detector.banks.adwin import AdwinBank
from services.detector.banks.detections import Detections
from services.detector.banks.page_hinkley import VERDICT_DELTA, PageHinkleyBank
from services.detector.baseline import Baseline
from services.detector.coded import Detected
from services.detector.incidents.culprits import since_onset
from services.detector.seasons.hourly_ranks import HourlyRanks
from services.detector.seasons.profile import Profile
from services.detector.sequential import NORMAL_SCORE_GATE, RANK_GATE, adwin_bank, page_hinkley_bank, read_window
from services.detector.signals.plan import Signals
from services.detector.state import load, save
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import IntArray


class RankWatch:
    """The detectors of ranks that the self-test allows, of one model version.

    by_hour: which of the baseline's columns go by the hour of `profile`.
    """

    def __init__(
        self,
        baseline: Baseline,
        shares: budget.Shares,
        rows_per_week: float,
        profile: Profile | None = None,
        by_hour: BoolArray | None = None,
    ) -> None:
        watched = baseline.sequential
        self._places = [one.column for one in watched]
        self._columns = [baseline.columns[place] for place in self._places]
        self._page_hinkley_allowed = np.array([not one.page_hinkley for one in watched], np.bool_)
        self._adwin_allowed = np.array([not one.adwin for one in watched], np.bool_)
        self._updates_per_week = max(rows_per_week * len(watched), 1.0)
        self._adwin_chance = shares.adwin
        means = np.array([baseline.columns[place].normal_mean for place in self._places], np.float64)
        self._hourly: HourlyRanks | None = None
        if profile is not None and by_hour is not None:
            hourly = [series for series, place in enumerate(self._places) if by_hour[place]]
            self._hourly = HourlyRanks(profile, hourly)
            means[hourly] = 0.0
        gates = np.array([column.shift_gate for column in self._columns], np.float64)
        self._page_hinkley = page_hinkley_bank(means, shares.page_hinkley, rows_per_week, gates)
        self._adwin = adwin_bank(len(watched), shares.adwin, rows_per_week, gates)
        for series, one in enumerate(watched):
            if one.adwin_window:
                self._adwin.seed(series, read_window(one.adwin_window))

    def update(self, signals: Signals, ts: IntArray, first_row: int) -> list[Detected]:
        """Fold the normal scores and ranks of rows of these times."""
        if not self._columns:
            return []
        ranks, scores = signals.ranks, signals.normal_scores
        if self._hourly is not None:
            ranks, scores = self._hourly.of(ranks, scores, ts)
        scores = np.where(self._page_hinkley_allowed, scores, np.nan)
        ranks = np.where(self._adwin_allowed, ranks, np.nan)
        return [
            *self._found(self._page_hinkley.update(scores), first_row, "page_hinkley"),
            *self._found(self._adwin.update(ranks), first_row, "adwin"),
        ]

    def _found(self, detections: Detections, first_row: int, detector: str) -> list[Detected]:
        return [self._one(detections, i, first_row, detector) for i in range(len(detections))]

    def _one(self, detections: Detections, i: int, first_row: int, detector: str) -> Detected:
        row, events = first_row + int(detections.row[i]), int(detections.events[i])
        onset = max(row - events + 1, 0)
        mean, column = float(detections.mean[i]), self._columns[int(detections.series[i])]
        if detector == "page_hinkley":
            statistic, value, noise, gate = "mean_normal_score", mean, 1.0 / math.sqrt(events), NORMAL_SCORE_GATE
            chance = budget.page_hinkley_chance(float(detections.statistic[i]), self._updates_per_week, VERDICT_DELTA)
        else:
            statistic, value, noise, gate = "mean_rank_shift", mean - 0.5, math.sqrt(1 / 12 / events), RANK_GATE
            chance = self._adwin_chance
        culprit = since_onset(
            column.name,
            detector,
            statistic,
            value=value,
            noise_floor=noise,
            threshold=gate * column.shift_gate,
            rows=events,
            onset=onset,
            row=row,
        )
        return Detected(row, culprit, chance)

    def snapshot(self) -> tuple[bytes, bytes]:
        """Return both banks."""
        return save(self._page_hinkley), save(self._adwin)

    def restore(self, banks: tuple[bytes, ...]) -> None:
        """Become what gave the snapshot."""
        self._page_hinkley, self._adwin = load(PageHinkleyBank, banks[0]), load(AdwinBank, banks[1])
