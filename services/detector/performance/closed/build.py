"""The reference of the monitors of closed cohorts, and their test of themselves on it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec
import numpy as np

from services.detector.baseline import WINDOW_ALL, Baseline
from services.detector.performance.closed.cusum import Side
from services.detector.performance.closed.pool import FEWEST, Pool, Reading, grouped, readings
from services.detector.performance.closed.reference import SIDES, ClosedReference
from services.detector.performance.closed.threshold import threshold
from services.detector.performance.metrics.curves import delong
from services.detector.performance.score_bins import score_edges
from services.detector.performance.score_counts import EXACT
from services.detector.reference_table import ReferenceTable
from services.detector.signals.columns import Codes
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray, IntArray
from shared.events.block import SCORE

FEWEST_POOLS = 5
MAX_GROUPS = 20
MAX_SCATTER = 2.0  # of the reference's own pools: of more a monitor would see next to nothing
CLOSED_SHARE = 0.999  # of the labels have come when a cohort is closed
SPARE_MS = 3_600_000  # beyond that age: a pipeline that is behind for a while has them all the same


def build_closed(
    baseline: Baseline, reference: ReferenceTable, label: Codes, predicted: Codes, share: float
) -> ClosedReference | None:
    """Return what closed cohorts are compared with; None for other tasks, and without scores of labels of both classes.

    label, predicted: [rows] codes of the baseline's classes, as `class_codes` gives them; share: of the budget.
    """
    if baseline.task != "binary":
        return None
    scores = next((c.values for c in reference.columns() if c.name == SCORE), None)
    positive = baseline.classes.index(baseline.positive) if baseline.positive in baseline.classes else -1
    if scores is None or positive < 0:
        return None
    known = (label >= 0) & (predicted >= 0) & ~np.isnan(scores)
    order = np.arange(reference.rows) if reference.ts is None else np.argsort(reference.ts, kind="stable")
    places = np.searchsorted(score_edges(baseline, (positive,))[0], scores)
    truths = (label == positive).astype(np.int64)
    whole = _counts(places[known], truths[known])
    negatives, positives = whole.sum(axis=0).tolist()
    if not negatives or not positives:
        return None
    pools = list(_pools(places[order], truths[order], known[order]))
    area, (ends, names) = delong(whole[:, 0], whole[:, 1]), _groups(whole, scores[known])
    groups = grouped(whole, ends)
    ages = reference.label_ages(known)
    found = ClosedReference(
        labels=int(whole.sum()),
        pool_labels=float(whole.sum()) / max(len(pools), 1),
        area=area.area,
        of_positives=area.of_positives,
        of_negatives=area.of_negatives,
        group_ends=ends,
        group_names=names,
        group_positives=groups[:, 1].tolist(),
        group_labels=groups.sum(axis=1).tolist(),
        scatter={},
        reasons={},
        closed_ms=None if ages is None else SPARE_MS + int(np.quantile(ages, CLOSED_SHARE, method="inverted_cdf")),
    )
    if min(negatives, positives) < FEWEST_POOLS * FEWEST:
        why = f"reference is thin ({positives} positive and {negatives} negative labels with scores;"
        why += f" needs {FEWEST_POOLS * FEWEST} of each)"
        return msgspec.structs.replace(found, scatter=dict.fromkeys(SIDES, 1.0), reasons=dict.fromkeys(SIDES, why))
    return _tested(found, pools, threshold(baseline, found, share))


def _counts(places: IntArray, truths: IntArray) -> IntArray:
    counts = np.bincount(2 * places + truths, minlength=2 * EXACT).reshape(EXACT, 2)
    return counts.astype(np.int64)


def _pools(places: IntArray, truths: IntArray, known: BoolArray) -> Iterator[Pool]:
    """Yield the full pools of rows in time order."""
    pool = Pool()
    for start in range(0, len(places) - WINDOW_ALL + 1, WINDOW_ALL):
        rows = np.arange(start, start + WINDOW_ALL)[known[start : start + WINDOW_ALL]]
        pool.add(_counts(places[rows], truths[rows]), start, start + WINDOW_ALL - 1)
        if pool.is_full:
            yield pool
            pool = Pool()


def _groups(counts: IntArray, scores: FloatArray) -> tuple[list[int], list[str]]:
    """Return where groups of neighbouring bins end, each of a twentieth of the labels at least, and their names."""
    labels = counts.sum(axis=1)
    least = max(int(labels.sum()) / MAX_GROUPS, 1.0)
    ends, names, first, ordered, begun = [], [], 0, np.sort(scores), 0
    reached = np.cumsum(labels)
    for place in range(len(labels)):
        rest = int(reached[-1] - reached[place])
        if (reached[place] - begun >= least and rest >= least) or rest == 0:
            low, high = ordered[begun], ordered[int(reached[place]) - 1]
            names.append(f"{low:.4g} to {high:.4g}")
            if rest == 0:
                break
            begun, first = int(reached[place]), place + 1
            ends.append(first)
    return ends, names


def _tested(found: ClosedReference, pools: list[Pool], limit: float) -> ClosedReference:
    said = [readings(pool.counts, found) for pool in pools]
    scatter = {monitor: _scatter([one[monitor] for one in said], found.usual(monitor)) for monitor in SIDES}
    reasons = {}
    for monitor, sides in SIDES.items():
        reasons[monitor] = _wandering(scatter[monitor])
        for side in sides:
            total, highest = Side.of(1), 0.0
            for pool, one in zip(pools, said, strict=True):
                off = side * (one[monitor].value - found.usual(monitor))
                total.add(off, one[monitor], scatter[monitor], np.zeros((1, 2), np.int64), pool.first_row)
                highest = max(highest, total.statistic)
            if highest >= limit and not reasons[monitor]:
                reasons[monitor] = "unsteady: alarms on the reference itself"
    return msgspec.structs.replace(found, scatter=scatter, reasons=reasons)


def _wandering(scatter: float) -> str:
    return (
        "" if scatter <= MAX_SCATTER else f"unsteady: its own cohorts scatter {scatter:.1f} times as much as by chance"
    )


def _scatter(own: list[Reading], usual: float) -> float:
    """Return the deviation of pools in standard errors; at least 1."""
    squares = [((one.value - usual) / max(one.error, 1e-12)) ** 2 for one in own]
    return math.sqrt(max(float(np.mean(squares)), 1.0))
