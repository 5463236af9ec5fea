"""A closed window as report rows: every distance by its name, over unpooled bins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from services.detector.banks.windows import ClosedWindow
from services.detector.baseline import Baseline, Column
from services.detector.report import WindowRow
from services.detector.statistics import distances, grid_distances
from services.detector.statistics.verdict import Verdict, judge
from services.detector.structs import IntArray


@dataclass(frozen=True, slots=True)
class Span:
    """The rows of the model between which a window took its own, inclusive."""

    first: int
    last: int


def verdict_of(baseline: Baseline, column: int, window: ClosedWindow) -> Verdict:
    """Return the verdict on one column of a closed window, against the same cell of the baseline."""
    spec = baseline.columns[column]
    return judge(
        window.counts[column],
        spec.counts[window.cell],
        ordered=spec.is_numeric,
        phi=float(baseline.arming.phi[column, window.cell]),
    )


def window_rows_of(
    baseline: Baseline, version: str, window: ClosedWindow, span: Span, verdicts: Sequence[Verdict] | None = None
) -> Iterator[WindowRow]:
    """Yield the rows of a closed window: every column; on all traffic also what is missing, unseen, out of range."""
    for place, column in enumerate(baseline.columns):
        verdict = verdicts[place] if verdicts is not None else verdict_of(baseline, place, window)
        yield _column_row(baseline, version, place, window, span, verdict)
        if window.cell == 0 and column.role == "feature":
            size, rows = window.end_row - window.start_row + 1, int(baseline.cell_rows[0])
            of_window = (int(window.missing[place]), int(window.unseen[place]))
            of_reference = (int(column.missing[0]), 0)
            for name, here, before in zip(("missing", "unseen"), of_window, of_reference, strict=True):
                signal = f"{name}:{column.name}"
                yield _rate_row(baseline, version, signal, window, span, (size - here, here), (rows - before, before))
    if window.cell == 0:
        for indicator, place in enumerate(baseline.ranged, start=len(baseline.columns)):
            column = baseline.columns[place]
            within, outside = window.counts[indicator].tolist()
            reference = (int(column.counts[0].sum()), column.outside)
            signal = f"out_of_range:{column.name}"
            yield _rate_row(baseline, version, signal, window, span, (within, outside), reference)


def _column_row(
    baseline: Baseline, version: str, column: int, window: ClosedWindow, span: Span, verdict: Verdict
) -> WindowRow:
    """Return the row of one column's distribution; distances are None where a side holds nothing."""
    spec = baseline.columns[column]
    found = _distances(spec, window, column)
    return WindowRow(
        **_where(baseline, version, spec.name, window, span),
        n=int(window.counts[column].sum()),
        n_missing=int(window.missing[column]),
        n_unseen=int(window.unseen[column]),
        bins=spec.bin_names(),
        counts=window.counts[column].tolist(),
        reference_counts=spec.counts[window.cell].tolist(),
        verdict_psi=verdict.psi,
        verdict_psi_debiased=verdict.psi_debiased,
        verdict_df=verdict.df,
        p_value=verdict.p_value,
        noise_floor=verdict.noise_floor,
        **found,
    )


def _rate_row(
    baseline: Baseline,
    version: str,
    signal: str,
    window: ClosedWindow,
    span: Span,
    counts: tuple[int, int],
    reference: tuple[int, int],
) -> WindowRow:
    """Return the row of an indicator (`missing:<feature>`, `unseen:<feature>`): counts of no and yes."""
    of_window, of_reference = np.asarray(counts, np.int64), np.asarray(reference, np.int64)
    verdict = judge(of_window, of_reference, ordered=False)
    return WindowRow(
        **_where(baseline, version, signal, window, span),
        n=sum(counts),
        n_missing=0,
        n_unseen=0,
        bins=["no", "yes"],
        counts=list(counts),
        reference_counts=list(reference),
        **_count_distances(of_window, of_reference),
        ks_stat=None,
        wasserstein_norm=None,
        verdict_psi=verdict.psi,
        verdict_psi_debiased=verdict.psi_debiased,
        verdict_df=verdict.df,
        p_value=verdict.p_value,
        noise_floor=verdict.noise_floor,
    )


def _where(baseline: Baseline, version: str, signal: str, window: ClosedWindow, span: Span) -> dict[str, Any]:
    return {
        "model": baseline.model,
        "model_version": version,
        "signal": signal,
        "segment": baseline.cells[window.cell],
        "window_start_row": window.start_row,
        "window_end_row": window.end_row,
        "first_served_row": span.first,
        "last_served_row": span.last,
    }


def _distances(spec: Column, window: ClosedWindow, column: int) -> dict[str, Any]:
    found = _count_distances(window.counts[column], spec.counts[window.cell])
    found |= {"ks_stat": None, "wasserstein_norm": None}
    grid = window.grid[column] if spec.is_numeric else np.zeros(0, np.int64)
    reference = spec.grid_counts[window.cell]
    if grid.sum() > 0 and reference.sum() > 0:
        found["ks_stat"] = grid_distances.ks_stat(grid, reference)
        found["wasserstein_norm"] = grid_distances.wasserstein_norm(
            grid, reference, spec.grid_edges, sd=spec.sd, median=spec.median
        )
    return found


def _count_distances(counts: IntArray, reference: IntArray) -> dict[str, Any]:
    names = ("psi", "psi_floor", "js_distance_base2", "hellinger", "chi2_stat", "linf")
    if counts.sum() == 0 or reference.sum() == 0:
        return dict.fromkeys(names)
    return {name: getattr(distances, name)(counts, reference) for name in names}
