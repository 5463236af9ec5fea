"""From a reference table to a baseline: read, count, test against itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import msgspec
import numpy as np
import pyarrow as pa

from services.detector import budget
from services.detector.baseline import MAX_BYTES, Arming, Baseline, Column, encode
from services.detector.causes.build import build_strata
from services.detector.coded import self_test_coded
from services.detector.column_build import build_column
from services.detector.estimates.build import build_estimates
from services.detector.mixes.build import build_mixes
from services.detector.pairs.build import ReferenceColumns, build_pairs
from services.detector.performance.reference_cohorts import reference_metrics
from services.detector.performance_build import build_performance, with_closed
from services.detector.quality.build import build_quality
from services.detector.reference_table import ReferenceTable
from services.detector.seasons.pace import Pace, why_other_rate
from services.detector.seasons.profile import SeasonBound
from services.detector.seasons.season_bound import bind_to_seasons
from services.detector.segments import MAX_CROSSED, CellIndex, divide
from services.detector.selftest import SEASON_BOUND, UNSTEADY, arm, arm_days
from services.detector.sequential import self_test_sequential
from services.detector.signals.columns import Codes
from services.detector.stream_time import StreamTime
from services.detector.trailing_build import arm_trailing, refuse_large
from shared.durations import UNITS_MS, format_duration
from shared.errors import ConfigurationError
from shared.monitors import ModelSpec

_CYCLES: Mapping[str, str | None] = MappingProxyType({"none": None, "day": "d", "week": "w"})  # units of durations

Progress = Callable[[str, float], None]


def build_baseline(
    model: str,
    spec: ModelSpec,
    table: pa.Table,
    progress: Progress | None = None,
    *,
    classes: Sequence[str] = (),
    cells_of: Baseline | None = None,
) -> Baseline:
    """Return the baseline of a model from its reference.

    progress: told the step in words and the share of work that is done, in [0, 1]. classes: the model's, where they are
    known beforehand. cells_of: whose cells to count in; None: those that the reference's own rows are in.

    Raises:
        ConfigurationError: a column of the reference, or a part of the configuration about it, cannot be used.
    """
    tell = progress or (lambda _step, _share: None)
    tell("reading", 0.0)
    reference = ReferenceTable(model, spec, table, classes)
    raw = reference.columns()
    dimensions = {name: reference.dimension(name) for name in spec.dimensions}
    _refuse_wide_crosses(model, spec)
    if cells_of is None:
        segmentations, labels = divide(spec.crosses, dimensions, reference.rows)
    else:
        segmentations, labels = cells_of.segmentations, cells_of.cells
    memberships = CellIndex(segmentations).of_reference(dimensions, reference.rows)
    columns: list[Column] = []
    codes: list[Codes] = []
    for place, found in enumerate(raw):
        tell(f"counting {found.name}", 0.1 + 0.4 * place / len(raw))
        column, binned = build_column(found, memberships, len(labels))
        columns.append(column)
        codes.append(binned)
    cell_rows = np.bincount(memberships.ravel(), minlength=len(labels))
    tell("comparing the reference with itself", 0.5)
    rows_per_week = _rows_per_week(reference)
    untested = _untested(reference)
    is_tested = not untested
    arming = arm(columns, codes, memberships, cell_rows, is_tested=is_tested)
    season_bound: list[SeasonBound] = []
    if is_tested and reference.ts is not None:
        arming, season_bound = bind_to_seasons(columns, codes, memberships, cell_rows, reference.ts, arming)
    shares = budget.shares(spec.alerts.false_pages_per_month)
    pace = rows_per_week or float(reference.rows)
    numeric = [(place, columns[place], found.values) for place, found in enumerate(raw) if found.is_numeric]
    tell("running the sequential detectors", 0.7)
    unsteady = [_unsteady(arming, place) for place in range(len(columns))]
    sequential = self_test_sequential(
        numeric, [unsteady[place] for place, _, _ in numeric], shares, pace, is_tested=is_tested
    )
    coded = self_test_coded(columns, codes, unsteady, shares, pace, is_tested=is_tested)
    days = None if reference.ts is None else reference.ts // UNITS_MS["d"]
    of = spec.trailing
    trailing = None
    if of is not None:
        refuse_large(reference.path, of, columns)
        ordered = days if is_tested else None
        trailing = arm_trailing(of, columns, codes, memberships, cell_rows, ordered, arming)
    tell("measuring performance", 0.85)
    performance, label_ages = build_performance(reference, shares, pace)
    if performance is not None:
        strata = build_strata(reference, raw, segmentations, labels, memberships, performance.high_error)
        performance = msgspec.structs.replace(performance, strata=strata)
    baseline = Baseline(
        model=model,
        task=spec.task,
        classes=reference.classes,
        cutoffs=list(spec.cutoffs),
        positive=spec.positive if spec.task == "binary" else "",
        rows=reference.rows,
        start_ms=None if reference.ts is None else int(reference.ts.min()),
        end_ms=None if reference.ts is None else int(reference.ts.max()),
        in_time_order=reference.in_time_order,
        untested=[untested] * len(columns),
        season_bound=season_bound,
        pace=_pace(reference, spec) if is_tested else None,
        rows_per_week=rows_per_week,
        columns=columns,
        segmentations=segmentations,
        cells=labels,
        cell_rows=cell_rows,
        arming=arming,
        days=arm_days(columns, codes, memberships, cell_rows, days, is_tested=is_tested),
        sequential=sequential,
        coded=coded,
        performance=performance,
        label_ages=label_ages,
        trailing=trailing,
        estimates=build_estimates(reference, raw),
        pairs=build_pairs(reference, ReferenceColumns(raw, columns, codes), untested),
        mixes=build_mixes(reference, raw, segmentations, labels, memberships, untested),
        quality=build_quality(model, spec, raw, columns, codes, memberships, len(labels), shares.data_quality, pace),
    )
    if performance is not None:
        metrics = reference_metrics(baseline, spec.quantile, reference)
        baseline = msgspec.structs.replace(baseline, performance=msgspec.structs.replace(performance, metrics=metrics))
        baseline = with_closed(baseline, reference, shares)
    _refuse_large(reference.path, baseline)
    tell("built", 1.0)
    return baseline


def _untested(reference: ReferenceTable) -> str:
    """Return why the reference's own windows say nothing of those of live traffic; empty where they do."""
    if reference.ts is None:
        return "reference has no ts: with one its steadiness could be tested"
    if not reference.in_time_order:
        return "reference is not in time order"
    cycle = _CYCLES[reference.spec.cycle]
    if cycle is None:
        return ""
    span = _span(reference)
    if span < 2 * UNITS_MS[cycle]:
        return f"reference spans {format_duration(span)}, not two whole {reference.spec.cycle}s"
    declared = reference.spec.events_per_week
    own = reference.rows * UNITS_MS["w"] / float(reference.ts.max() - reference.ts.min())
    return "" if declared is None else why_other_rate(declared, own)


def _pace(reference: ReferenceTable, spec: ModelSpec) -> Pace | None:
    """Return the pace that live traffic is to have; None where it is declared, or nothing repeats."""
    if reference.ts is None or spec.events_per_week is not None or spec.cycle == "none":
        return None
    return Pace.of(StreamTime().advance(reference.ts))


def _span(reference: ReferenceTable) -> float:
    """Return the milliseconds that the rows stand for: two days of hourly rows end an hour before the third."""
    if reference.ts is None or reference.rows < 2:
        return 0.0
    span = int(reference.ts.max()) - int(reference.ts.min())
    return float(span * reference.rows / (reference.rows - 1))


def _unsteady(arming: Arming, place: int) -> str:
    if arming.unsteady[place, 0]:
        return SEASON_BOUND if arming.is_armed(place, 0) else UNSTEADY
    return ""


def _rows_per_week(reference: ReferenceTable) -> float | None:
    """Return what the configuration declares, else the rate of the reference's own time span."""
    if reference.spec.events_per_week is not None:
        return reference.spec.events_per_week
    span = 0 if reference.ts is None else int(reference.ts.max() - reference.ts.min())
    return reference.rows * UNITS_MS["w"] / span if span > 0 else None


def _refuse_wide_crosses(model: str, spec: ModelSpec) -> None:
    for cross in spec.crosses:
        if len(cross) > MAX_CROSSED:
            raise ConfigurationError(
                f"models.{model}.segments", f"a cross of {len(cross)} dimensions; at most {MAX_CROSSED}"
            )


def _refuse_large(path: str, baseline: Baseline) -> None:
    size = len(encode(baseline))
    if size > MAX_BYTES:
        raise ConfigurationError(
            path,
            f"its baseline takes {size} bytes, one record holds {MAX_BYTES}: watch fewer columns or segments"
            f" ({len(baseline.columns)} columns in {len(baseline.cells)} cells)",
        )
