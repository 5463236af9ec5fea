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
    ROLLBACK = "rollback"
    KEEP = "keep"  # as it is: go on comparing


ADVICE = {Verdict.BETTER: Advice.PROMOTE, Verdict.WORSE: Advice.ROLLBACK, Verdict.UNDECIDED: Advice.KEEP}


class Difference(msgspec.Struct, frozen=True):
    """How many pairs have this difference of losses, champion's less challenger's, in hundredths."""

    hundredths: int
    pairs: int


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
