"""What a baseline may page on: the armed table of `driftline baseline build` and `driftline check`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import msgspec

from services.detector.baseline import Baseline


class ColumnReport(msgspec.Struct, frozen=True, kw_only=True):
    """One column: whether it may page on all traffic, and in how many segment cells."""

    name: str
    role: str
    kind: str
    bins: int
    is_armed: bool
    why_not: str  # empty where it is armed
    is_unsteady: bool  # the reference's own windows differ by more than the gate
    cells_armed: int
    cells: int  # segment cells
    cells_why_not: dict[str, int]  # reason to number of cells


class BaselineReport(msgspec.Struct, frozen=True, kw_only=True):
    """One baseline."""

    hash: str
    task: str
    rows: int
    rows_per_week: float | None
    cells: list[str]
    armed_all_traffic: float  # shares of cells that may page
    armed_segments: float
    columns: list[ColumnReport]
    error_monitors: dict[str, str]  # name to why it does not page; empty text: it does


def report(baseline: Baseline) -> BaselineReport:
    """Return the report of a baseline."""
    performance = baseline.performance
    return BaselineReport(
        hash=baseline.hash,
        task=baseline.task,
        rows=baseline.rows,
        rows_per_week=baseline.rows_per_week,
        cells=baseline.cells,
        armed_all_traffic=baseline.arming.share(segments=False),
        armed_segments=baseline.arming.share(segments=True),
        columns=[_column(baseline, place) for place in range(len(baseline.columns))],
        error_monitors={m.name: m.reason for m in performance.monitors} if performance is not None else {},
    )


def _column(baseline: Baseline, place: int) -> ColumnReport:
    column, arming = baseline.columns[place], baseline.arming
    segments = range(1, len(baseline.cells))
    reasons = Counter(arming.why_not(place, cell) for cell in segments if not arming.is_armed(place, cell))
    return ColumnReport(
        name=column.name,
        role=column.role,
        kind=column.kind,
        bins=column.bins,
        is_armed=arming.is_armed(place, 0),
        why_not=arming.why_not(place, 0),
        is_unsteady=bool(arming.unsteady[place, 0]),
        cells_armed=sum(arming.is_armed(place, cell) for cell in segments),
        cells=len(segments),
        cells_why_not=dict(reasons),
    )


def report_lines(model: str, found: BaselineReport) -> Iterator[str]:
    """Yield the report for people."""
    week = f", {found.rows_per_week:,.0f} a week" if found.rows_per_week is not None else ""
    yield (
        f"{model}: {found.task}, {found.rows:,} reference rows{week}, {len(found.cells)} cells;"
        f" armed {found.armed_all_traffic:.0%} of all traffic, {found.armed_segments:.0%} of segments"
    )
    width = max((len(column.name) for column in found.columns), default=0)
    for column in found.columns:
        unsteady = ", unsteady" if column.is_unsteady else ""
        state = f"armed{unsteady}" if column.is_armed else f"not armed: {column.why_not}"
        yield f"  {column.name:<{width}}  {column.kind:<11} {column.bins:>3} bins  {state}"
        if column.cells:
            others = "".join(f", {cells} {reason}" for reason, cells in _short(column.cells_why_not))
            yield f"  {'':<{width}}  segments: {column.cells_armed} of {column.cells} cells armed{others}"
    for name, reason in found.error_monitors.items():
        yield f"  {name:<{width}}  performance  {f'not armed: {reason}' if reason else 'armed'}"


def _short(reasons: dict[str, int]) -> list[tuple[str, int]]:
    """Return reasons without their numbers, which differ from cell to cell, the most frequent first."""
    merged: Counter[str] = Counter()
    for reason, cells in reasons.items():
        merged[re.split(r"[:(]", reason)[0].strip()] += cells
    return merged.most_common()
