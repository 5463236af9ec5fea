"""The numbers of a challenger's verdict, computed again from the counts in its own record: nothing else is needed."""

from __future__ import annotations

import math

import numpy as np

from services.cli.verify.number import Number
from services.detector.challengers.betting import SIZES, STEPS, e_value, interval, mean
from services.detector.challengers.comparison import evidence
from shared.events.comparison import ADVICE, Comparison, Verdict

_SHOWN_CLOSE = 1e-6  # a long product: logarithms of another machine may end in other digits


def recompare(said: Comparison) -> list[Number]:
    """Return every number of a verdict."""
    counts = np.zeros(SIZES, np.int64)
    for one in said.differences:
        counts[one.hundredths + STEPS] += one.pairs
    better, worse = evidence(counts, said.margin)
    low, high = interval(counts, math.log(said.e_needed))
    won, lost = int(counts[STEPS + 1 :].sum()), int(counts[:STEPS].sum())
    named = f"{said.champion} and {said.model_version}"
    return [
        Number.compared(named, "pairs", said.pairs, int(counts.sum())),
        Number.compared(named, "challenger_won", said.challenger_won, won),
        Number.compared(named, "challenger_lost", said.challenger_lost, lost),
        Number.compared(named, "value (estimate)", said.estimate, mean(counts)),
        Number.compared(named, "estimate_low", said.estimate_low, low, _SHOWN_CLOSE),
        Number.compared(named, "estimate_high", said.estimate_high, high, _SHOWN_CLOSE),
        Number.compared(named, "value (e_better)", said.e_better, e_value(better), _SHOWN_CLOSE),
        Number.compared(named, "value (e_worse)", said.e_worse, e_value(worse), _SHOWN_CLOSE),
        Number.compared(named, "verdict", _holds(said, said.verdict), 1.0),
    ]


def _holds(said: Comparison, verdict: Verdict) -> float:
    """Return 1 where verdict and advice agree with the evidence; a verdict stands until all of its evidence is gone."""
    own = {Verdict.BETTER: said.e_better, Verdict.WORSE: said.e_worse}
    is_sure = {side: e >= said.e_needed for side, e in own.items()}
    stands = own[verdict] >= 1.0 if verdict in own else not any(is_sure.values())
    other = any(sure for side, sure in is_sure.items() if side is not verdict)
    return float(stands and not other and said.advice is ADVICE[verdict])
