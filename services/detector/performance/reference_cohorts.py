"""The reference as labelled cohorts: its rows in time order, each with its label at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from services.detector.baseline import ALL, Baseline, ReferenceMetric
from services.detector.performance.cell_cohorts import served_key
from services.detector.performance.cohorts import Cohorts, Labelled
from services.detector.performance.score_bins import score_edges
from services.detector.performance.tally import Tally
from services.detector.reference_batches import reference_batches
from services.detector.reference_table import ReferenceTable
from services.detector.report import CohortRow
from services.detector.signals.plan import SignalPlan
from shared.cost import CostSpec
from shared.degradation import MAX_NAMED_CLASSES, OF_ONE_CLASS, metrics_of
from shared.events.block import LABEL, PREDICTION

_ENDLESS = 1 << 62


def reference_cohorts(
    baseline: Baseline,
    quantile: float | None,
    reference: ReferenceTable,
    sizes: Sequence[int],
    prices: CostSpec | None = None,
) -> Iterator[CohortRow]:
    """Yield every whole cohort of the reference, in the order in which they end.

    sizes: rows of a cohort of each cell. Nothing without predictions or labels.
    """
    if not (reference.has(PREDICTION) and reference.has(LABEL)):
        return
    tally, plan = Tally.of(baseline, quantile, prices), SignalPlan(baseline)
    cohorts = Cohorts(baseline.cells, sizes, tally, score_edges(baseline, tally.curves))
    first_row = 0
    for seq, batch in enumerate(reference_batches(reference, with_labels=True)):
        labelled = plan.labelled(batch)
        rows = np.arange(batch.num_rows, dtype=np.int64)
        # The clock of cohorts is here the row: those before the batch are final, and have all their labels.
        predicted = tally.predicted(batch.column(PREDICTION))
        final = cohorts.serve(0, seq, labelled.cells, first_row + rows, predicted, {0: seq}, first_row)
        yield from (cohorts.row(baseline.model, "", place, is_final=True) for place in final)
        told = tally.contributions(labelled.labels, labelled.predictions, labelled.scores)
        cohorts.label(0, Labelled(served_key(np.full(len(rows), seq), rows), labelled.cells, told))
        first_row += batch.num_rows
    for cell, book in enumerate(cohorts.state.cells):
        yield from (cohorts.row(baseline.model, "", (cell, at), is_final=True) for at in book.finish(_ENDLESS))


def reference_metrics(
    baseline: Baseline, quantile: float | None, reference: ReferenceTable
) -> dict[str, dict[str, ReferenceMetric]]:
    """Return what rules compare with: every metric that they may name, of all rows of each cell, by the cell's name.

    Metrics of a single class are those of all traffic: of each cell, most of them would be made of a few rows.
    """
    sizes = [max(rows, 1) for rows in baseline.cell_rows.tolist()]
    found: dict[str, dict[str, ReferenceMetric]] = {}
    for row in reference_cohorts(baseline, quantile, reference, sizes):
        known = metrics_of(baseline.task, baseline.cutoffs)
        for name in (*known, *(_of_classes(baseline) if row.segment == ALL else ())):
            value = row.metrics[name]
            if value.value is not None:
                error = None if value.error is None else _rounded(value.error)
                found.setdefault(name, {})[row.segment] = ReferenceMetric(_rounded(value.value), error)
    return found


def _of_classes(baseline: Baseline) -> list[str]:
    is_named = baseline.task == "multiclass" and len(baseline.classes) <= MAX_NAMED_CLASSES
    return [f"{name}_{label}" for name in OF_ONE_CLASS for label in baseline.classes] if is_named else []


def _rounded(value: float) -> float:
    """Return what any machine's linear algebra agrees on: a baseline is known by its bytes."""
    return float(f"{value:.10g}")
