"""Columns of pairs as numbers and their mid-ranks: features and scores as they are, and what a class says as 0 or 1.

`prediction` and `label` of a binary model are 1 for the positive class, `error` is 1 for a wrong prediction; of a
regression they are numbers, and `error` is prediction - label. Classes of more than two have no order, so only their
`error` is a number; of a ranking none is. Of 0 and 1 the mid-ranks are a straight line: they stand for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from services.detector.baseline import Baseline
from services.detector.grid import Grid, RankScale
from services.detector.pairs.reference import Scale
from services.detector.ranks import Ranking
from services.detector.reference_table import ReferenceTable
from services.detector.signals.labelled import LabelledSignals, class_codes, difference
from services.detector.signals.monitored import ERROR
from services.detector.signals.plan import Signals
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray
from shared.events.block import LABEL, PREDICTION
from shared.values import MISSING_LEVEL

TRUTHS = (LABEL, ERROR)


def reference_numbers(reference: ReferenceTable) -> dict[str, FloatArray]:
    """Return those of `prediction`, `label` and `error` that the reference knows and that are no column of it."""
    if reference.spec.task == "ranking":
        return {}
    held = [name for name in (PREDICTION, LABEL) if reference.has(name)]
    if reference.spec.task == "regression":
        known = {name: reference.numbers(name) for name in held}
        found = {name: values for name, values in known.items() if name == LABEL}
        return found | ({ERROR: difference(known[PREDICTION], known[LABEL])} if len(known) == 2 else {})
    classes = len(reference.classes)
    codes = dict(
        zip(held, class_codes(reference.classes, [reference.table.column(name) for name in held]), strict=True)
    )
    known = {
        name: np.where((code < 0) | ((code >= classes) & (name == LABEL)), np.nan, code) for name, code in codes.items()
    }
    found = {}
    if reference.spec.task == "binary":
        positive = reference.classes.index(reference.spec.positive) if reference.classes else -1
        found = {name: flags(values, positive) for name, values in known.items()}
    return found | ({ERROR: errors(known[PREDICTION], known[LABEL])} if len(known) == 2 else {})


def flags(codes: FloatArray, positive: int) -> FloatArray:
    """Return 1 where a code is the positive class's, 0 where it is another's, NaN where there is none."""
    return np.where(np.isnan(codes), np.nan, codes == positive)


def errors(predictions: FloatArray, labels: FloatArray) -> FloatArray:
    """Return 1 where two codes differ, 0 where they do not, NaN where one is missing."""
    return np.where(np.isnan(predictions) | np.isnan(labels), np.nan, predictions != labels)


def scale_of(values: FloatArray) -> Scale:
    """Return the scale under which a reference's values have ranks."""
    grid = Grid.of(values[~np.isnan(values)])
    return Scale(edges=grid.edges, counts=grid.counts(values))


def ranks_on(scale: Scale | None, values: FloatArray) -> FloatArray:
    """Return mid-ranks under a scale; values that have none stand for themselves."""
    if scale is None:
        return values
    grid = Grid(scale.edges)
    return RankScale.of(grid, scale.counts).ranks(values, grid.locate(values))


class ServedNumbers:
    """Columns of served rows by name; `names` are numeric columns of the baseline, or a binary model's `prediction`."""

    def __init__(self, baseline: Baseline, names: Sequence[str]) -> None:
        places = {column.name: place for place, column in enumerate(baseline.columns)}
        self._series = [
            baseline.numeric.index(places[name]) if baseline.columns[places[name]].is_numeric else -1 for name in names
        ]
        self._prediction = places.get(PREDICTION, -1)
        self._levels = np.zeros(1)
        if -1 in self._series:
            levels = baseline.columns[self._prediction].levels
            flags_of = [np.nan if level == MISSING_LEVEL else float(level == baseline.positive) for level in levels]
            self._levels = np.array([*flags_of, 0.0, np.nan])  # then a level never seen, and -1 where it is missing

    def of(self, signals: Signals) -> tuple[FloatArray, FloatArray]:
        """Return values and mid-ranks, [rows, names] each; NaN is missing."""
        tables = [np.empty((len(signals.codes), len(self._series))) for _ in range(2)]
        for table, given in zip(tables, (signals.values, signals.ranks), strict=True):
            for at, series in enumerate(self._series):
                table[:, at] = given[:, series] if series >= 0 else self._levels[signals.codes[:, self._prediction]]
        return tables[0], tables[1]


class LabelledNumbers:
    """Columns of labelled rows: what was served of features, then `label` and `error`."""

    def __init__(self, baseline: Baseline, names: Sequence[str], scales: Mapping[str, Scale]) -> None:
        columns = {column.name: column for column in baseline.columns}
        self._rankings = [Ranking(columns[name]) for name in names]
        self._scales = [scales.get(name) for name in TRUTHS]
        self._task = baseline.task
        self._positive = baseline.classes.index(baseline.positive) if baseline.positive in baseline.classes else -1

    def of(self, served: FloatArray, labelled: LabelledSignals, known: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Return values and mid-ranks, [rows, names + 2] each, of the labelled rows that are `known`.

        served: values of the names in those rows, [rows, names].
        """
        label, error = labelled.labels[known], labelled.residuals[known]
        if self._task != "regression":
            error = errors(labelled.predictions[known], label)
        if self._task == "binary":
            label = flags(label, self._positive)
        elif self._task != "regression":
            label = np.full(len(label), np.nan)
        ranks = [ranking.place(values)[1] for ranking, values in zip(self._rankings, served.T, strict=True)]
        truths = [ranks_on(scale, values) for scale, values in zip(self._scales, (label, error), strict=True)]
        return np.column_stack([served, label, error]), np.column_stack([*ranks, *truths])
