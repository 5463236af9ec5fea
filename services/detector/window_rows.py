"""A closed window as report rows: every distance by its name, over unpooled bins."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import chdtrc, kolmogorov

from services.detector.baseline import Baseline
from services.detector.judge import JudgedWindows
from services.detector.report import WindowRow
from services.detector.statistics.grid_distances import scale_of
from services.detector.statistics.verdict import Verdicts, pooling_orders, verdicts_of
from services.detector.statistics.window_kernel import (
    BINS,
    CHI2,
    HELLINGER,
    JS,
    KS,
    LINF,
    OCCUPIED,
    OUTLIERS,
    PSI,
    PSI_FLOOR,
    REFERENCE_N,
    WASSERSTEIN,
    WIDTH,
    N,
    statistics,
)
from services.detector.structs import FloatArray

_KERNEL = {
    "psi": PSI,
    "psi_floor": PSI_FLOOR,
    "js_distance_base2": JS,
    "hellinger": HELLINGER,
    "chi2_stat": CHI2,
    "linf": LINF,
}
_DISTANCES = (*_KERNEL, "psi_debiased", "chi2_pvalue", "cramers_v")
_QUANTILES = ("q01", "q05", "q25", "median", "q75", "q95", "q99")
UNDEFINED: dict[str, Any] = dict.fromkeys(_DISTANCES)


@dataclass(frozen=True, slots=True)
class Span:
    """The rows of the model between which a window took its own, inclusive."""

    first: int
    last: int


class WindowRows:
    """Renders the windows of one model version."""

    def __init__(self, baseline: Baseline, version: str) -> None:
        self._baseline = baseline
        self.model: dict[str, Any] = {"model": baseline.model, "model_version": version}
        self._bin_names = [column.bin_names() for column in baseline.columns]
        self._scales = [scale_of(column.sd, column.median) for column in baseline.columns]

    def of(self, judged: JudgedWindows, place: int, span: Span) -> Iterator[WindowRow]:
        """Yield the rows of one window: every column; on all traffic also what is missing, unseen, out of range."""
        windows, cell = judged.windows, int(judged.windows.cell[place])
        where: dict[str, Any] = {
            **self.model,
            "segment": self._baseline.cells[cell],
            "window_start_row": int(windows.start_row[place]),
            "window_end_row": int(windows.end_row[place]),
            "first_served_row": span.first,
            "last_served_row": span.last,
        }
        found, of_grid = judged.statistics[place], judged.grid[place]
        distances, grid = distances_of(found), of_grid.tolist()
        chances = kolmogorov(of_grid[:, KS] * np.sqrt(_effective(found))).tolist()
        summaries = self._summaries(judged, place, grid)
        verdicts = listed(judged.verdicts, place)
        for at, column in enumerate(self._baseline.columns):
            counts = windows.counts_of(at)[place].tolist()
            yield WindowRow(
                **where,
                signal=column.name,
                n=sum(counts),
                n_missing=int(windows.missing[place, at]),
                n_unseen=int(windows.unseen[place, at]),
                bins=self._bin_names[at],
                counts=counts,
                reference_counts=column.counts[cell].tolist(),
                **distances[at],
                ks_stat=_known(grid[at][KS]),
                wasserstein_norm=_known(grid[at][WASSERSTEIN] / self._scales[at]),
                ks_pvalue=_known(chances[at]),
                **summaries.get(at, {}),
                **verdicts[at],
            )
        if cell == 0:
            yield from self._rates(judged, place, where)

    def _summaries(self, judged: JudgedWindows, place: int, grid: list[list[float]]) -> dict[int, dict[str, Any]]:
        """Return what each numeric column's values say, as fields of its row."""
        moments = judged.windows.moments
        found: dict[int, dict[str, Any]] = {}
        for series, at in enumerate(self._baseline.numeric):
            of_values, (outliers, compliant, *quantiles) = moments.of(place, series), map(_known, grid[at][OUTLIERS:])
            found[at] = {
                "mean": of_values.mean,
                "sd": of_values.sd,
                "minimum": of_values.minimum,
                "maximum": of_values.maximum,
                "outlier_rate": outliers,
                "compliance_rate": compliant,
                **dict(zip(_QUANTILES, quantiles, strict=True)),
            }
        return found

    def _rates(self, judged: JudgedWindows, place: int, where: dict[str, Any]) -> Iterator[WindowRow]:
        """Yield the rows of indicators (`missing:<feature>`, ...): counts of no and yes."""
        signals = self._indicators(judged, place)
        if not signals:
            return
        counts = np.array([here for _, here, _ in signals], np.float64)
        references = np.array([before for _, _, before in signals], np.float64)
        found = np.empty((len(signals), WIDTH))
        statistics(counts, np.arange(len(signals)), references, pooling_orders(references, ordered=False), found)
        verdicts = listed(verdicts_of(found[np.newaxis], np.ones((1, len(signals)))), 0)
        distances = distances_of(found)
        for at, (signal, here, before) in enumerate(signals):
            yield WindowRow(
                **where,
                signal=signal,
                n=sum(here),
                n_missing=0,
                n_unseen=0,
                bins=["no", "yes"],
                counts=here,
                reference_counts=before,
                **distances[at],
                ks_stat=None,
                wasserstein_norm=None,
                ks_pvalue=None,
                **verdicts[at],
            )

    def _indicators(self, judged: JudgedWindows, place: int) -> list[tuple[str, list[int], list[int]]]:
        """Return each indicator's name, with how often it was not and was set, in the window and in the reference."""
        windows, baseline = judged.windows, self._baseline
        size, rows = int(windows.end_row[place] - windows.start_row[place]) + 1, int(baseline.cell_rows[0])
        found: list[tuple[str, list[int], list[int]]] = []
        for at, column in enumerate(baseline.columns):
            if column.role == "feature":
                missing, before = int(windows.missing[place, at]), int(column.missing[0])
                unseen = int(windows.unseen[place, at])
                found.append((f"missing:{column.name}", [size - missing, missing], [rows - before, before]))
                found.append((f"unseen:{column.name}", [size - unseen, unseen], [rows, 0]))
        for indicator, at in enumerate(baseline.ranged, start=len(baseline.columns)):
            column = baseline.columns[at]
            here: list[int] = windows.counts_of(indicator)[place].tolist()
            found.append((f"out_of_range:{column.name}", here, [int(column.counts[0].sum()), column.outside]))
        return found


def _effective(found: FloatArray) -> FloatArray:
    """Return n N / (n + N) of each column."""
    n, size = found[:, N], found[:, REFERENCE_N]
    return n * size / np.maximum(n + size, 1.0)


def distances_of(found: FloatArray) -> list[dict[str, Any]]:
    """Return the distances of each column by name; None where a side holds nothing."""
    taken = np.column_stack([found[:, list(_KERNEL.values())], *_derived(found)]).tolist()
    return [dict(zip(_DISTANCES, row, strict=True)) if row[0] == row[0] else UNDEFINED for row in taken]


def _derived(found: FloatArray) -> list[FloatArray]:
    """Return PSI without its noise, the chance of chi-squared, and Cramér's V: see `distances.py`."""
    n, size, occupied, bins = found[:, N], found[:, REFERENCE_N], found[:, OCCUPIED], found[:, BINS]
    total = np.maximum(n + size, 2.0)
    noise = (bins - 1) * (1 / np.maximum(n, 1.0) + 1 / np.maximum(size, 1.0))
    chance = np.where(occupied > 1, chdtrc(np.maximum(occupied - 1, 1.0), found[:, CHI2]), 1.0)
    excess = found[:, CHI2] / total - (occupied - 1) / (total - 1)
    least = np.minimum(2 - 1 / (total - 1), occupied - (occupied - 1) ** 2 / (total - 1)) - 1
    share = np.where(least > 0, excess / np.where(least > 0, least, 1.0), 0.0)
    return [found[:, PSI] - noise, chance, np.sqrt(np.clip(share, 0.0, 1.0))]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def listed(verdicts: Verdicts, place: int) -> list[dict[str, Any]]:
    """Return the verdicts on one window's columns as fields of their rows."""

    def values(table: FloatArray) -> list[float]:
        found: list[float] = table[place].tolist()
        return found

    fields = zip(
        values(verdicts.psi),
        values(verdicts.psi_debiased),
        verdicts.df[place].tolist(),
        values(verdicts.p_value),
        values(verdicts.noise_floor),
        strict=True,
    )
    return [
        {
            "verdict_psi": psi,
            "verdict_psi_debiased": debiased,
            "verdict_df": df,
            "p_value": p_value,
            "noise_floor": noise_floor,
        }
        for psi, debiased, df, p_value, noise_floor in fields
    ]
