"""From a reference to what estimates need."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.detector.estimates.calibration import Calibration, calibrate
from services.detector.estimates.loss_tree import Input, grow
from services.detector.estimates.reference import EstimateReference, LossTree
from services.detector.reference_table import ReferenceColumn, ReferenceTable
from services.detector.signals.labelled import class_codes, difference
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray, IntArray
from shared.definition import score_columns
from shared.events.block import LABEL, PREDICTION

MIN_LABELS = 500  # of a reference: fewer calibrate nothing
MAX_CLASSES = 100  # that are calibrated, one by one
MAX_LEVELS = 256  # of a categorical column whose levels may tell of the loss


def build_estimates(table: ReferenceTable, columns: Sequence[ReferenceColumn]) -> EstimateReference | None:
    """Return how performance is estimated, or why it is not; None without predictions or labels."""
    if not (table.has(PREDICTION) and table.has(LABEL)):
        return None
    if table.spec.task == "ranking":
        return EstimateReference(reason="no score says how good a list is")
    return (_regression if table.spec.task == "regression" else _classes)(table, columns)


def _classes(table: ReferenceTable, columns: Sequence[ReferenceColumn]) -> EstimateReference:
    predicted, actual = class_codes(table.classes, (table.table.column(PREDICTION), table.table.column(LABEL)))
    named = {column.source: column for column in columns if column.role == "score"}
    sources = score_columns(table.spec.task, table.classes)
    if any(source not in named for source in sources):
        why = "the reference has no scores" if not named else "the reference has no scores of some classes"
        return EstimateReference(reason=why)
    if len(sources) > MAX_CLASSES:
        return EstimateReference(reason=f"more than {MAX_CLASSES} classes")
    scores = np.column_stack([named[source].values for source in sources])
    held = (predicted >= 0) & (actual >= 0) & ~np.isnan(scores).any(axis=1)
    if int(held.sum()) < MIN_LABELS:
        return EstimateReference(reason=_thin(held))
    codes = [table.classes.index(table.spec.positive)] if table.spec.task == "binary" else range(len(table.classes))
    calibrations = [calibrate(scores[held, at], actual[held] == code, len(codes)) for at, code in enumerate(codes)]
    return _reference((predicted != actual)[held].astype(np.float64), calibrations=calibrations)


def _regression(table: ReferenceTable, columns: Sequence[ReferenceColumn]) -> EstimateReference:
    errors = difference(table.numbers(PREDICTION), table.numbers(LABEL))
    held = ~np.isnan(errors)
    if int(held.sum()) < MIN_LABELS:
        return EstimateReference(reason=_thin(held))
    inputs = [
        _input(column, np.flatnonzero(held))
        for column in columns
        if column.is_numeric or 0 < len(column.texts) <= MAX_LEVELS
    ]
    return _reference(np.abs(errors[held]), tree=grow(inputs, errors[held]))


def _thin(held: BoolArray) -> str:
    return f"reference is thin ({int(held.sum())} labels with scores or errors; needs {MIN_LABELS})"


def _input(column: ReferenceColumn, rows: IntArray) -> Input:
    if column.is_numeric:
        return Input(column.name, column.values[rows], np.zeros(0, np.int64), [])
    return Input(column.name, np.zeros(0), column.codes[rows].astype(np.int64), column.texts)


def _reference(
    losses: FloatArray, calibrations: list[Calibration] | None = None, tree: LossTree | None = None
) -> EstimateReference:
    return EstimateReference(
        rows=losses.size,
        loss=float(losses.mean()),
        spread=float(losses.std()),
        calibrations=calibrations or [],
        tree=tree,
    )
