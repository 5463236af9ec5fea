"""Sequential detectors of codes on all traffic, bins of numbers and levels alike, and their test on the reference.

E-detectors see any change of shares in hundreds of events; levels too rare for that are watched one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from services.detector import budget
from services.detector.banks.detections import Detections
from services.detector.banks.e_detector import EDetectorBank
from services.detector.banks.levels import watched_levels
from services.detector.banks.rare_levels import MIN_RATIO, ODDS, RareLevelBank
from services.detector.baseline import ALL, Baseline, Coded, Column
from services.detector.incidents.culprits import since_onset
from services.detector.seasons.profile import Profile
from services.detector.sequential import ALARMS, MIN_EVENTS, NEEDED_ROWS
from services.detector.signals.columns import Codes
from services.detector.state import load, save
from services.detector.statistics.arrays import BoolArray, Counts
from services.detector.statistics.proportions import standard_error
from services.detector.structs import CodeArray, IntArray
from shared.events.alert import Bin, Culprit
from shared.values import MISSING_LEVEL

NO_RARE_LEVELS = "no level is rare"


class Detected(NamedTuple):
    """A detection of one column on all traffic."""

    row: int  # the model's served row
    culprit: Culprit
    chance_per_week: float


def e_detector_bank(
    columns: Sequence[Column], share: float, rows_per_week: float, laws: Sequence[Counts] | None = None
) -> EDetectorBank:
    """Return one e-detector per column, together worth `share` a week.

    laws: per column, counts of the codes in every pool of hours, or in all of them, [laws, codes]; None: as the
    reference has them.
    """
    threshold = budget.e_detector_threshold(share, rows_per_week * max(len(columns), 1))
    return EDetectorBank.of_references(
        [column.counts[:1] for column in columns] if laws is None else laws,
        [column.is_numeric for column in columns],
        np.full(len(columns), threshold),
        MIN_EVENTS,
        np.array([column.gate for column in columns], np.float64),
    )


def rare_level_bank(
    columns: Sequence[Column], share: float, rows_per_week: float, laws: Sequence[Counts] | None = None
) -> RareLevelBank:
    """Return the watch of the columns' rare levels, together worth `share` a week; laws as of `e_detector_bank`.

    A rate that has a rhythm has risen when it is above all its hours, and fallen when it is below all of them.
    """
    levels = [watched(column) for column in columns]
    series = sum(int(codes.max(initial=-1)) + 1 for codes in levels)
    threshold = budget.likelihood_threshold(share, rows_per_week * max(series, 1), len(ODDS))
    return RareLevelBank.of_references(
        levels, [column.counts[:1] for column in columns] if laws is None else laws, np.full(series, threshold)
    )


def watched(column: Column) -> IntArray:
    """Return the number of each code's watched level; bins of numbers are none, and no value is told of as missing."""
    counts = column.counts[0].copy()
    if MISSING_LEVEL in column.levels:
        counts[column.levels.index(MISSING_LEVEL)] = 0
    levels = watched_levels(counts)
    return np.full_like(levels, -1) if column.is_numeric else levels


def self_test_coded(
    columns: Sequence[Column],
    codes: Sequence[Codes],
    unsteady: Sequence[str],
    shares: budget.Shares,
    rows_per_week: float,
    *,
    is_tested: bool,
) -> list[Coded]:
    """Return which detectors run, by running them over the reference in time order.

    codes: of each column, the reference's rows; unsteady: per column, why none runs whatever they would say.
    is_tested: whether the order of those rows says anything; else all run.
    """
    whys = [why or _thin(column) for why, column in zip(unsteady, columns, strict=True)]
    tested = [place for place, why in enumerate(whys) if is_tested and not why]
    some = [columns[place] for place in tested]
    alarmed: set[int] = set()
    alarmed_levels: set[int] = set()
    if tested:
        rows = np.column_stack([codes[place] for place in tested])
        shapes = e_detector_bank(some, shares.e_detector, rows_per_week).update(rows)
        alarmed = {tested[series] for series in shapes.series.tolist()}
        columns_of = _columns_of(some)
        rare = rare_level_bank(some, shares.rare_levels, rows_per_week).update(rows)
        alarmed_levels = {tested[columns_of[series][0]] for series in rare.series.tolist()}
    return [
        Coded(
            column=place,
            e_detector=why or (ALARMS if place in alarmed else ""),
            rare_levels=why or _rare(columns[place]) or (ALARMS if place in alarmed_levels else ""),
        )
        for place, why in enumerate(whys)
    ]


class CodeWatch:
    """The detectors of codes that the self-test allows, of one model version.

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
        self._columns = baseline.columns
        self._pools = None if profile is None else profile.pools
        self._shapes = [found.column for found in baseline.coded if not found.e_detector]
        self._rare = [found.column for found in baseline.coded if not found.rare_levels]
        rare = [self._columns[place] for place in self._rare]
        self._levels = _columns_of(rare)

        def laws(places: Sequence[int]) -> list[Counts]:
            return [
                self._columns[place].counts[:1]
                if profile is None or by_hour is None or not by_hour[place]
                else profile.counts[:, baseline.codes(place)]
                for place in places
            ]

        self._e_detector = e_detector_bank(
            [self._columns[place] for place in self._shapes], shares.e_detector, rows_per_week, laws(self._shapes)
        )
        self._rare_levels = rare_level_bank(rare, shares.rare_levels, rows_per_week, laws(self._rare))
        self._shape_updates = rows_per_week * max(len(self._shapes), 1)
        self._threshold = budget.e_detector_threshold(shares.e_detector, self._shape_updates)
        self._rare_updates = rows_per_week * max(len(self._levels), 1)

    def update(self, codes: Codes, hours: CodeArray | None, first_row: int) -> list[Detected]:
        """Fold the rows' codes, the first of which is the model's row `first_row`.

        hours: of the week of each row, which only some watches need.
        """
        pools = None if self._pools is None or hours is None else self._pools[hours]
        found = self._e_detector.update(codes[:, self._shapes], pools)
        rare = self._rare_levels.update(codes[:, self._rare])
        return [
            *(self._shape(found, i, first_row) for i in range(len(found))),
            *(self._level(rare, i, first_row) for i in range(len(rare))),
        ]

    def _shape(self, found: Detections, i: int, first_row: int) -> Detected:
        row, events, statistic = first_row + int(found.row[i]), int(found.events[i]), float(found.statistic[i])
        place = self._shapes[int(found.series[i])]
        culprit = since_onset(
            self._columns[place].name,
            "e_detector",
            "log_evidence",
            value=statistic,
            threshold=self._threshold,
            rows=events,
            onset=max(row - events + 1, 0),
            row=row,
        )
        return Detected(row, culprit, budget.e_detector_chance(statistic, self._shape_updates))

    def _level(self, found: Detections, i: int, first_row: int) -> Detected:
        row, events, rate = first_row + int(found.row[i]), int(found.events[i]), float(found.mean[i])
        place, codes = self._levels[int(found.series[i])]
        column = self._columns[self._rare[place]]
        counts = column.counts[0]
        before, rows = int(counts[codes].sum()), int(counts.sum())
        name = column.levels[codes[0]] if len(codes) == 1 else f"{len(codes)} rare levels"
        culprit = Culprit(
            feature=column.name,
            segment=ALL,
            detector="rare_levels",
            statistic="rate",
            value=rate,
            noise_floor=standard_error(rate * events, events),
            threshold=before / rows * (MIN_RATIO if found.direction[i] > 0 else 1 / MIN_RATIO),
            p_value=None,
            window_rows=events,
            window_start_row=max(row - events + 1, 0),
            window_end_row=row,
            onset_row=max(row - events + 1, 0),
            bins=[Bin(name=name, count=round(rate * events), reference_count=before, contribution=0.0)],
        )
        chance = budget.likelihood_chance(float(found.statistic[i]), self._rare_updates, len(ODDS))
        return Detected(row, culprit, chance)

    def snapshot(self) -> tuple[bytes, bytes]:
        """Return both banks."""
        return save(self._e_detector), save(self._rare_levels)

    def restore(self, banks: tuple[bytes, ...]) -> None:
        """Become what gave the snapshot."""
        self._e_detector, self._rare_levels = load(EDetectorBank, banks[0]), load(RareLevelBank, banks[1])


def _columns_of(columns: Sequence[Column]) -> list[tuple[int, list[int]]]:
    """Return for each watched level its column's place and the codes that are it, numbered as `RareLevelBank` does."""
    found: list[tuple[int, list[int]]] = []
    for place, column in enumerate(columns):
        levels = watched(column)
        numbers = range(int(levels.max(initial=-1)) + 1)
        found += [(place, np.flatnonzero(levels == number).tolist()) for number in numbers]
    return found


def _thin(column: Column) -> str:
    known = int(column.counts[0].sum())
    return f"reference is thin ({known} rows; needs {NEEDED_ROWS})" if known < NEEDED_ROWS else ""


def _rare(column: Column) -> str:
    return "" if watched(column).max(initial=-1) >= 0 else NO_RARE_LEVELS
