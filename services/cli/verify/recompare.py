"""The numbers of a challenger's verdict, computed again from the counts in its own record: nothing else is needed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from services.cli.verify.number import Number
from services.detector.challengers.betting import SIZES, STEPS, e_value, interval, mean
from services.detector.challengers.comparison import evidence
from services.detector.structs import IntArray
from shared.events.comparison import Comparison, Difference, SegmentComparison, Verdict, advice_of

_SHOWN_CLOSE = 1e-6  # a long product: logarithms of another machine may end in other digits


def recompare(said: Comparison) -> list[Number]:
    """Return every number of a verdict."""
    counts = _counts(said.differences)
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
        Number.compared(named, "verdict", _holds(said), 1.0),
        *(number for one in said.segments for number in _segment(said, one)),
    ]


def _segment(said: Comparison, one: SegmentComparison) -> list[Number]:
    counts = _counts(one.differences)
    better, worse = evidence(counts, said.margin)
    low, high = interval(counts, math.log(said.e_needed_in_segments))
    named = f"{said.champion} and {said.model_version} where {one.segment}"
    return [
        Number.compared(named, "pairs", one.pairs, int(counts.sum())),
        Number.compared(named, "value (estimate)", one.estimate, mean(counts)),
        Number.compared(named, "estimate_low", one.estimate_low, low, _SHOWN_CLOSE),
        Number.compared(named, "estimate_high", one.estimate_high, high, _SHOWN_CLOSE),
        Number.compared(named, "value (e_better)", one.e_better, e_value(better), _SHOWN_CLOSE),
        Number.compared(named, "value (e_worse)", one.e_worse, e_value(worse), _SHOWN_CLOSE),
        Number.compared(named, "verdict", _agrees(one, said.e_needed_in_segments), 1.0),
    ]


def _counts(differences: Sequence[Difference]) -> IntArray:
    counts = np.zeros(SIZES, np.int64)
    for one in differences:
        counts[one.hundredths + STEPS] += one.pairs
    return counts


def _holds(said: Comparison) -> float:
    """Return 1 where verdict and advice agree with the evidence."""
    is_worse_somewhere = any(one.verdict is Verdict.WORSE for one in said.segments)
    advice = advice_of(said.verdict, is_worse_somewhere=is_worse_somewhere)
    return _agrees(said, said.e_needed) * float(said.advice is advice)


def _agrees(said: Comparison | SegmentComparison, needed: float) -> float:
    """Return 1 where a verdict agrees with the evidence; it stands until all of that is gone."""
    own = {Verdict.BETTER: said.e_better, Verdict.WORSE: said.e_worse}
    is_sure = {side: e >= needed for side, e in own.items()}
    stands = own[said.verdict] >= 1.0 if said.verdict in own else not any(is_sure.values())
    other = any(sure for side, sure in is_sure.items() if side is not said.verdict)
    return float(stands and not other)
