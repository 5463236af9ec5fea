"""Comparisons: what a challenger's answers are worth beside the champion's, on the same requests."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Verdict(StrEnum):
    """How a challenger does."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"


class Advice(StrEnum):
    """What the product recommends to do with the challenger."""

    PROMOTE = "promote"
    PROMOTE_WITH_CAVEAT = "promote_with_caveat"  # better over all traffic, and surely worse in a segment
    ROLLBACK = "rollback"
    KEEP = "keep"  # as it is: go on comparing


ADVICE = {Verdict.BETTER: Advice.PROMOTE, Verdict.WORSE: Advice.ROLLBACK, Verdict.UNDECIDED: Advice.KEEP}


class Difference(msgspec.Struct, frozen=True):
    """How many pairs have this difference of losses, champion's less challenger's, in hundredths."""

    hundredths: int
    pairs: int


class SegmentComparison(msgspec.Struct, frozen=True, kw_only=True):
    """How a challenger does in one segment, where that is sure. Numbers are as those of all traffic."""

    segment: str
    verdict: Verdict
    pairs: int
    differences: list[Difference]
    estimate: float
    estimate_low: float
    estimate_high: float
    e_better: float
    e_worse: float


def advice_of(verdict: Verdict, *, is_worse_somewhere: bool) -> Advice:
    """Return what follows from a verdict on all traffic, and whether a segment is surely worse."""
    has_caveat = verdict is Verdict.BETTER and is_worse_somewhere
    return Advice.PROMOTE_WITH_CAVEAT if has_caveat else ADVICE[verdict]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The data of a challenger event: its latest state. Every number follows from `differences`, `margin`, `e_needed`.

    Losses go from 0 to 1; the interval and the e-values hold at every moment, however often one looks.
    """

    comparison_id: str
    model: str
    model_version: str  # the challenger
    champion: str
    metric: str
    loss_bound: float  # the loss that counts as 1, in units of the metric; larger ones do, too
    margin: float
    alpha: float
    verdict: Verdict
    advice: Advice
    pairs: int
    challenger_won: int  # pairs in which the champion's loss is the larger one
    challenger_lost: int
    differences: list[Difference]
    estimate: float  # mean difference: how much smaller the challenger's loss is
    estimate_low: float
    estimate_high: float
    e_better: float  # against "no better than by the margin"
    e_worse: float
    e_needed: float
    labels_needed: int | None  # further pairs until a verdict, if the gap stays; None: it is within the margin
    unpaired: int  # labelled answers of either version whose other one did not come
    begun: str  # log time of the first pair
    configuration_version: int
    configuration_hash: str
    code_version: str
    segments: list[SegmentComparison] = []  # with a verdict of their own; the worse ones first, 16 at most
    segments_compared: int = 0  # which share a chance of `alpha`
    e_needed_in_segments: float = 0.0  # 0 where there are none
