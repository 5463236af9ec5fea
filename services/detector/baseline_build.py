"""From a reference table to a baseline: read, count, test against itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from services.detector import budget
from services.detector.baseline import MAX_BYTES, Arming, Baseline, Column, encode
from services.detector.coded import self_test_coded
from services.detector.column_build import build_column
from services.detector.pairs.build import ReferenceColumns, build_pairs
from services.detector.performance_build import build_performance
from services.detector.reference_table import ReferenceTable
from services.detector.segments import MAX_CROSSED, CellIndex, divide
from services.detector.selftest import arm, arm_days
from services.detector.sequential import self_test_sequential
from services.detector.signals.columns import Codes
from services.detector.trailing_build import arm_trailing, refuse_large
from shared.durations import UNITS_MS
from shared.errors import ConfigurationError
from shared.monitors import ModelSpec

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
    untestable = _untestable(reference)
    arming = arm(columns, codes, memberships, cell_rows, untestable)
    rows_per_week = _rows_per_week(reference)
    shares = budget.shares(spec.alerts.false_pages_per_month)
    pace = rows_per_week or float(reference.rows)
    numeric = [(place, columns[place], found.values) for place, found in enumerate(raw) if found.is_numeric]
    tell("running the sequential detectors", 0.7)
    sequential = self_test_sequential(
        numeric, [untestable or _unsteady(arming, place) for place, _, _ in numeric], shares, pace
    )
    unsteady = [untestable or _unsteady(arming, place) for place in range(len(columns))]
    coded = self_test_coded(columns, codes, unsteady, shares, pace)
    days = None if reference.ts is None else reference.ts // UNITS_MS["d"]
    of = spec.trailing
    trailing = None
    if of is not None:
        refuse_large(reference.path, of, columns)
        ordered = None if untestable else days
        trailing = arm_trailing(of, columns, codes, memberships, cell_rows, ordered, arming)
    tell("measuring performance", 0.85)
    baseline = Baseline(
        model=model,
        task=spec.task,
        classes=reference.classes,
        positive=spec.positive if spec.task == "binary" else "",
        rows=reference.rows,
        start_ms=None if reference.ts is None else int(reference.ts.min()),
        end_ms=None if reference.ts is None else int(reference.ts.max()),
        in_time_order=reference.in_time_order,
        rows_per_week=rows_per_week,
        columns=columns,
        segmentations=segmentations,
        cells=labels,
        cell_rows=cell_rows,
        arming=arming,
        days=arm_days(columns, codes, memberships, cell_rows, days, untestable),
        sequential=sequential,
        coded=coded,
        performance=build_performance(reference, shares, pace),
        trailing=trailing,
        pairs=build_pairs(reference, ReferenceColumns(raw, columns, codes), untestable),
    )
    _refuse_large(reference.path, baseline)
    tell("built", 1.0)
    return baseline


def _untestable(reference: ReferenceTable) -> str:
    if reference.ts is None:
        return "reference has no ts: with one its steadiness could be tested"
    return "" if reference.in_time_order else "reference is not in time order"


def _unsteady(arming: Arming, place: int) -> str:
    return "unsteady" if arming.unsteady[place, 0] else ""


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
