"""What a reference is good for: the self-test of `driftline baseline build` as a table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import msgspec

from services.cli.rehearsed import NOTHING_TRIED, Rehearsals
from services.cli.tables import Listing
from services.detector.advisory.rehearsal import DetectorRehearsal
from services.detector.baseline import Baseline, ReferencePerformance, Trailing
from services.detector.estimates.expected import ESTIMATES, Expectation
from services.detector.performance_build import RESIDUAL
from services.detector.quality.vanished import self_test as self_test_of
from services.detector.rules.rehearsal import Rehearsal
from services.detector.selftest import SEASON_BOUND
from services.detector.trailing_build import kept_bytes
from shared.monitors import ModelSpec

PARTS = {"week": "hour of the week", "year": "month of the year"}  # by cycle
QUALITY = ("share of rows", "may page", "why others do not")
LISTED = 3  # shares that do not page; the JSON holds all
SELF_TEST = ("column", "kind", "bins", "phi", "peak PSI", "segments armed", "self-test")


class ColumnReport(msgspec.Struct, frozen=True, kw_only=True):
    """One column: whether it may page on all traffic, and in how many segment cells."""

    name: str
    role: str
    kind: str
    bins: int
    is_armed: bool
    why_not: str  # empty where it is armed
    is_unsteady: bool  # the reference's own windows differ by more than the gate
    is_season_bound: bool  # and a cycle explains it, so that windows are compared with its hours or months
    cycle: str = ""  # the one that does, week or year
    phi: float  # how much more they scatter than they would by chance
    peak_psi: float  # of an own window against the rest, debiased
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
    pairs: dict[str, str]  # name to why it does not page; empty text: it does
    error_monitors: dict[str, str]  # the same
    estimates: str  # why performance is not estimated before labels come; empty text: it is
    quality: dict[str, dict[str, str]]  # the same of shares of rows that are amiss, by statistic
    rules: Sequence[Rehearsal]  # what the model's rules would have done on the reference
    detectors: Sequence[DetectorRehearsal]  # and its named detectors
    warnings: list[str] = []  # of what the configuration chooses


def report(baseline: Baseline, tried: Rehearsals = NOTHING_TRIED) -> BaselineReport:
    """Return the report of a baseline, and of what people have brought on its reference."""
    performance = baseline.performance
    return BaselineReport(
        hash=baseline.hash,
        task=baseline.task,
        rows=baseline.rows,
        rows_per_week=baseline.rows_per_week,
        cells=baseline.cells,
        armed_all_traffic=baseline.share_armed(segments=False),
        armed_segments=baseline.share_armed(segments=True),
        columns=[_column(baseline, place) for place in range(len(baseline.columns))],
        pairs={} if baseline.pairs is None else baseline.pairs.self_test(),
        error_monitors={} if performance is None else _monitors(performance),
        estimates=Expectation(baseline).why_not,
        quality=self_test_of(baseline.quality, baseline.columns),
        rules=tried.rules,
        detectors=tried.detectors,
        warnings=[] if baseline.trailing is None else [_trailing(baseline, baseline.trailing)],
    )


def _trailing(baseline: Baseline, chosen: Trailing) -> str:
    of, columns = chosen.of, len(baseline.columns)
    armed = round(chosen.arming.share(segments=False) * columns)
    before = f"the {of.days} days before the last {of.lag}" if of.lag else f"the last {of.days} days"
    return (
        f"warning: windows compare with {before} once these are known, where a slow drift hides: the reference, with"
        f" which whole days and the fast detectors go on comparing, is what tells it. {armed} of {columns} columns may"
        f" page so on all traffic; the days take {kept_bytes(of, baseline.columns) / 1e6:.1f} MB of state"
    )


def _column(baseline: Baseline, place: int) -> ColumnReport:
    column, arming = baseline.columns[place], baseline.arming
    segments = range(1, len(baseline.cells))
    whys = [baseline.why_not_yet(place, cell) for cell in segments]
    why_not = baseline.why_not_yet(place, 0)
    cycle = next((one.cycle for one in baseline.season_bound if (one.column, one.cell) == (place, 0)), "")
    return ColumnReport(
        name=column.name,
        role=column.role,
        kind=column.kind,
        bins=column.bins,
        is_armed=not why_not,
        why_not=why_not,
        is_unsteady=bool(arming.unsteady[place, 0]),
        is_season_bound=bool(cycle),
        cycle=cycle,
        phi=float(arming.phi[place, 0]),
        peak_psi=float(arming.peak[place, 0]),
        cells_armed=sum(not why for why in whys),
        cells=len(segments),
        cells_why_not=dict(Counter(why for why in whys if why)),
    )


def _monitors(performance: ReferencePerformance) -> dict[str, str]:
    residual = {} if performance.residual is None else {RESIDUAL: performance.residual_reason}
    closed = {} if performance.closed is None else performance.closed.reasons
    return {monitor.name: monitor.reason for monitor in performance.monitors} | residual | closed


def heading(model: str, found: BaselineReport) -> str:
    """Return what a baseline is made of, in one line."""
    week = f", {found.rows_per_week:,.0f} a week" if found.rows_per_week is not None else ""
    return (
        f"{model}: {found.task}, {found.rows:,} reference rows{week}, {len(found.cells)} cells;"
        f" armed {found.armed_all_traffic:.0%} of all traffic, {found.armed_segments:.0%} of segments"
    )


def warming_up(model: str, spec: ModelSpec) -> str:
    """Return what is known of a model without a reference, in one line."""
    classes = f" and {len(spec.classes)} classes" if spec.classes else ""
    return (
        f"{model}: {spec.task}, {len(spec.features)} features{classes} declared; its first {spec.warm_up} become its"
        " baseline, until then nothing is compared and nothing pages"
    )


def estimated(found: BaselineReport) -> str:
    """Return whether performance is told before labels come, in one line."""
    return f"estimates before labels come: {f'none, {found.estimates}' if found.estimates else 'yes'}"


def self_test(found: BaselineReport) -> Listing:
    """Return a row for each column, then one for each pair, for each error monitor, and for the estimates."""
    rows = [
        (
            column.name,
            column.kind,
            str(column.bins),
            *_own_windows(column),
            _segments(column),
            _verdict(column),
        )
        for column in found.columns
    ]
    pairs = [(name, "pair", "", "", "", "", why or "ok") for name, why in found.pairs.items()]
    monitors = [(name, "performance", "", "", "", "", why or "ok") for name, why in found.error_monitors.items()]
    estimates = (ESTIMATES, "performance", "", "", "", "", found.estimates or "ok")
    return Listing(SELF_TEST, [*rows, *pairs, *monitors, estimates])


def quality(found: BaselineReport) -> Listing:
    """Return a row for each share of rows that data quality is made of."""
    return Listing(
        QUALITY,
        [
            (
                statistic,
                f"{sum(not why for why in shares.values())} of {len(shares)}",
                _listed([f"{name}: {why}" for name, why in shares.items() if why]),
            )
            for statistic, shares in found.quality.items()
        ],
    )


def _listed(reasons: Sequence[str]) -> str:
    more = len(reasons) - LISTED
    return ", ".join(reasons[:LISTED]) + (f" and {more} more" if more > 0 else "") or "-"


def _verdict(column: ColumnReport) -> str:
    if column.why_not:
        return column.why_not
    return f"ok, {SEASON_BOUND}: windows by the {PARTS[column.cycle]}" if column.is_season_bound else "ok"


def _own_windows(column: ColumnReport) -> tuple[str, str]:
    # A peak of exactly 0 is that of a column without windows to compare.
    return (f"{column.phi:.2f}", f"{max(column.peak_psi, 0.0):.2f}") if column.peak_psi else ("-", "-")


def _segments(column: ColumnReport) -> str:
    others = ", ".join(f"{cells} {reason}" for reason, cells in _short(column.cells_why_not))
    return f"{column.cells_armed} of {column.cells}" + (f" ({others})" if others else "")


def _short(reasons: dict[str, int]) -> list[tuple[str, int]]:
    """Return reasons without their numbers, which differ from cell to cell, the most frequent first."""
    merged: Counter[str] = Counter()
    for reason, cells in reasons.items():
        merged[re.split(r"[:(]", reason)[0].strip()] += cells
    return merged.most_common()
