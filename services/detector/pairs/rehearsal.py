"""The windows of pairs of a reference: how far the correlations of each are from those of all its other rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from services.detector.banks.pairs import ClosedCorrelations, CorrelationBank
from services.detector.baseline import Baseline
from services.detector.pairs.numbers import TRUTHS, LabelledNumbers, ServedNumbers
from services.detector.pairs.reference import COEFFICIENTS, WINDOW_ROWS, ReferencePair, columns_of, places_in
from services.detector.pairs.selftest import delta_to_rest
from services.detector.reference_batches import labelled_batches, reference_batches
from services.detector.reference_table import ReferenceTable
from services.detector.signals.labelled import LabelledPlan
from services.detector.signals.plan import SignalPlan
from services.detector.statistics.correlation import Correlation
from services.detector.structs import FloatArray

Deltas = Mapping[str, Mapping[str, float | None]]  # of one window, by pair and then by statistic


def own_windows(baseline: Baseline, reference: ReferenceTable) -> Iterator[tuple[int, Deltas]]:
    """Yield each window's first row and its deltas: those of served rows, then those of labelled ones."""
    if baseline.pairs is None:
        return
    served, labelled = baseline.pairs.of_served(), baseline.pairs.of_labels()
    if served:
        yield from _windows(served, columns_of(served), _served(baseline, columns_of(served), reference))
    if labelled:
        features = [name for name in columns_of(labelled) if name not in TRUTHS]
        yield from _windows(labelled, [*features, *TRUTHS], _labelled(baseline, features, reference))


def _served(
    baseline: Baseline, names: Sequence[str], reference: ReferenceTable
) -> Iterator[tuple[FloatArray, FloatArray]]:
    plan, numbers = SignalPlan(baseline), ServedNumbers(baseline, names)
    for batch in reference_batches(reference):
        yield numbers.of(plan.served(batch))


def _labelled(
    baseline: Baseline, features: Sequence[str], reference: ReferenceTable
) -> Iterator[tuple[FloatArray, FloatArray]]:
    scales = {} if baseline.pairs is None else baseline.pairs.scales
    plan, numbers = LabelledPlan(baseline), LabelledNumbers(baseline, features, scales)
    parts = zip(_served(baseline, features, reference), labelled_batches(reference), strict=True)
    for (values, _), batch in parts:
        labelled = plan.signals(batch, np.zeros((batch.num_rows, 1), np.int32))
        known = ~np.isnan(labelled.labels)
        yield numbers.of(values[known], labelled, known)


def _windows(
    pairs: Sequence[ReferencePair], names: Sequence[str], tables: Iterator[tuple[FloatArray, FloatArray]]
) -> Iterator[tuple[int, Deltas]]:
    bank = CorrelationBank(WINDOW_ROWS, places_in(pairs, names))
    for table in tables:
        for window in bank.update(*table):
            yield window.start_row, {pair.name: _deltas(pair, window, at) for at, pair in enumerate(pairs)}


def _deltas(pair: ReferencePair, window: ClosedCorrelations, at: int) -> dict[str, float | None]:
    found = {}
    for of, correlations in zip(COEFFICIENTS, (window.pearson, window.spearman), strict=True):
        whole = pair.coefficient(of)
        found[f"{of}_delta"] = delta_to_rest(correlations[at], Correlation(whole.r, whole.rows))
    return found
