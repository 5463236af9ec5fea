"""Windows of pairs against the reference: coefficients by Fisher's z, joint tables as any histogram of unordered bins.

A table moves when one of its columns does. So its effect is what is left of its debiased PSI when that of its two
margins is taken away: a column that moves alone leaves nothing, because the chain rule gives the table the divergence
of the column, and a pair is named for what neither column shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from services.detector.banks.compiled import dense
from services.detector.pairs.closed import CORRELATION, GATE, JOINT, Reading
from services.detector.pairs.reference import COEFFICIENTS, ReferenceJoint, ReferencePair
from services.detector.statistics.correlation import DELTAS, Correlation
from services.detector.statistics.distances import psi_contributions
from services.detector.statistics.joint import FIFTHS, JOINT_BINS
from services.detector.statistics.verdict import Verdicts, judge, pooling_orders, verdicts_of
from services.detector.statistics.window_kernel import WIDTH, statistics
from services.detector.structs import FloatArray, IntArray
from services.detector.window_rows import distances_of, listed
from shared.events.alert import Bin
from shared.pairs import pair_name


@dataclass(frozen=True, slots=True)
class Said:
    """What the tests of one kind say of one pair in one window."""

    readings: list[Reading]
    known: int
    fields: dict[str, Any]


def judge_correlations(pair: ReferencePair, pearson: Correlation, spearman: Correlation) -> Said:
    """Return what both coefficients of a pair say."""
    readings: list[Reading] = []
    fields: dict[str, Any] = {"pearson": pearson.r, "spearman": spearman.r}
    for of, window in zip(COEFFICIENTS, (pearson, spearman), strict=True):
        before = pair.coefficient(of)
        drift = DELTAS[of](window, Correlation(before.r, before.rows), before.phi)
        if drift is None:
            continue
        statistic = f"{of}_delta"
        fields[statistic] = drift.delta
        readings.append(
            Reading(
                pair=pair.name,
                detector=CORRELATION,
                statistic=statistic,
                value=drift.delta,
                effect=abs(drift.delta),
                noise_floor=drift.noise_floor,
                p_value=drift.p_value,
                is_armed=not before.reason,
            )
        )
    return Said(readings, spearman.rows, fields)


class JointJudge:
    """Knows the counts of every joint table of a baseline."""

    def __init__(self, tables: Sequence[ReferenceJoint]) -> None:
        self._tables = tables
        self._references = dense(np.array([table.counts for table in tables]).reshape(-1, JOINT_BINS), np.float64)
        self._orders = pooling_orders(self._references, ordered=False)
        self._phi = np.array([table.phi for table in tables])
        self._names = [
            [pair_name(*names) for names in product(_five(table.first.bin_names()), _five(table.second.bin_names()))]
            for table in tables
        ]

    def judge(self, counts: IntArray) -> list[Said]:
        """Return what the tables of one window say, [tables, 25]."""
        found = np.empty((len(self._tables), WIDTH))
        statistics(dense(counts, np.float64), np.arange(len(self._tables)), self._references, self._orders, found)
        verdicts = verdicts_of(found[np.newaxis], self._phi[np.newaxis])
        said = zip(distances_of(found), listed(verdicts, 0), strict=True)
        return [
            Said(
                [self._reading(at, counts[at], verdicts)],
                int(counts[at].sum()),
                {
                    "bins": self._names[at],
                    "counts": counts[at].tolist(),
                    "reference_counts": self._tables[at].counts.tolist(),
                    **distances,
                    **verdict,
                },
            )
            for at, (distances, verdict) in enumerate(said)
        ]

    def _reading(self, at: int, counts: IntArray, verdicts: Verdicts) -> Reading:
        table, psi = self._tables[at], float(verdicts.psi_debiased[0, at])
        return Reading(
            pair=table.name,
            detector=JOINT,
            statistic="psi_debiased",
            value=psi,
            effect=psi if psi < GATE / 2 else psi - margins(counts, table.counts, table.phi),
            noise_floor=float(verdicts.noise_floor[0, at]),
            p_value=float(verdicts.p_value[0, at]),
            is_armed=not table.reason,
            bins=partial(_bins, self._names[at], counts, table.counts),
        )


def margins(window: IntArray, reference: IntArray, phi: float) -> float:
    """Return what the two columns of a table show each alone: the sum of their debiased PSI, none less than 0."""
    tables = [counts.reshape(FIFTHS, FIFTHS) for counts in (window, reference)]
    alone = [judge(*(table.sum(axis=axis) for table in tables), ordered=False, phi=phi) for axis in (0, 1)]
    return sum(max(verdict.psi_debiased, 0.0) for verdict in alone)


def _five(names: list[str]) -> list[str]:
    """Return names of all five codes; a column of fewer never has the last ones."""
    return [*names, *["-"] * (FIFTHS - len(names))]


def _bins(names: Sequence[str], counts: IntArray, reference: IntArray) -> list[Bin]:
    parts: FloatArray = psi_contributions(counts, reference) if counts.sum() else np.zeros(len(counts))
    return [
        Bin(name=name, count=count, reference_count=before, contribution=part)
        for name, count, before, part in zip(names, counts.tolist(), reference.tolist(), parts.tolist(), strict=True)
    ]
