"""What the baseline keeps of pairs of columns, all of it of all traffic."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import msgspec
import numpy as np

from services.detector.structs import IntArray
from shared.pairs import pair_name

WINDOW_ROWS = 1_000  # of a window of pairs
OTHERS = "others"  # the levels that are not among the most frequent

Coefficient = Literal["pearson", "spearman"]
COEFFICIENTS: tuple[Coefficient, ...] = ("pearson", "spearman")


class ReferenceCoefficient(msgspec.Struct, frozen=True, kw_only=True):
    """One coefficient of a pair of columns of numbers, and what its own windows say of it."""

    r: float | None  # None where a column does not vary
    rows: int  # in which both columns are known
    phi: float  # at least 1: overdispersion of Fisher's z of its own windows
    reason: str  # why it does not page; empty where it does


class ReferencePair(msgspec.Struct, frozen=True, kw_only=True):
    """Two columns of numbers."""

    first: str  # a column of the baseline
    second: str  # another one; or the model's answer, the label or the error as a number
    needs_labels: bool
    pearson: ReferenceCoefficient
    spearman: ReferenceCoefficient  # of mid-ranks under the baseline

    @property
    def name(self) -> str:
        """Return what the pair is called."""
        return pair_name(self.first, self.second)

    @property
    def columns(self) -> tuple[str, str]:
        """Return both columns."""
        return self.first, self.second

    def coefficient(self, of: Coefficient) -> ReferenceCoefficient:
        """Return one of the two."""
        return self.pearson if of == "pearson" else self.spearman


class Side(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One column of a joint table as five codes at most: right-closed intervals, or frequent levels and the others."""

    column: str
    edges: np.ndarray  # float64, ascending; empty for categories
    levels: list[str]  # the frequent ones in code order; empty for numbers

    def bin_names(self) -> list[str]:
        """Return what people call the codes."""
        if self.levels:
            return [*self.levels, OTHERS]
        texts = ["-inf", *(f"{edge:.4g}" for edge in self.edges.tolist()), "inf"]
        return [f"({low}, {high}]" for low, high in pairwise(texts)]


class ReferenceJoint(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The table of two columns of any kind: 5 times the code of the first and that of the second."""

    first: Side
    second: Side
    counts: np.ndarray  # int64 [25]
    phi: float  # at least 1: overdispersion of its own windows
    reason: str  # why it does not page; empty where it does

    @property
    def name(self) -> str:
        """Return what the pair is called."""
        return pair_name(*self.columns)

    @property
    def columns(self) -> tuple[str, str]:
        """Return both columns."""
        return self.first.column, self.second.column


class Scale(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The fine grid under which numbers that are no column of the baseline have ranks."""

    edges: np.ndarray  # float64 [grid cells - 1]
    counts: np.ndarray  # int64 [grid cells]


class PairReferences(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Everything that windows of pairs are compared with."""

    correlations: list[ReferencePair]
    joint: list[ReferenceJoint]
    labels: int  # rows of the reference with a label
    scales: dict[str, Scale]  # of a regression's label and error

    def of_served(self) -> list[ReferencePair]:
        """Return the pairs that served rows are enough for."""
        return [pair for pair in self.correlations if not pair.needs_labels]

    def of_labels(self) -> list[ReferencePair]:
        """Return the pairs that need labels."""
        return [pair for pair in self.correlations if pair.needs_labels]

    def tests_per_week(self, rows_per_week: float, rows: int) -> float:
        """Return the declared number of tests of windows in a week; rows: of the reference.

        Every coefficient and every table counts, in windows of 1,000 served rows, or of as many labelled ones.
        """
        served = len(COEFFICIENTS) * len(self.of_served()) + len(self.joint)
        labelled = len(COEFFICIENTS) * len(self.of_labels()) * self.labels / max(rows, 1)
        return rows_per_week / WINDOW_ROWS * (served + labelled)

    @property
    def names(self) -> set[str]:
        """Return what all of them are called."""
        return {pair.name for pair in self.correlations} | {table.name for table in self.joint}

    def self_test(self) -> dict[str, str]:
        """Return why nothing pages on each pair; empty where something does."""
        reasons: dict[str, list[str]] = {}
        for pair in self.correlations:
            reasons.setdefault(pair.name, []).extend(pair.coefficient(of).reason for of in COEFFICIENTS)
        for table in self.joint:
            reasons.setdefault(table.name, []).append(table.reason)
        return {name: each[0] if all(each) else "" for name, each in reasons.items()}

    def why_not(self) -> dict[str, str]:
        """Return the pairs that nothing pages on, with the reason."""
        return {name: why for name, why in self.self_test().items() if why}


def columns_of(pairs: Sequence[ReferencePair]) -> list[str]:
    """Return the columns of pairs, each once."""
    return list(dict.fromkeys(name for pair in pairs for name in pair.columns))


def places_in(pairs: Sequence[ReferencePair], names: Sequence[str]) -> IntArray:
    """Return where the columns of each pair stand among some names, [pairs, 2]."""
    return np.array([[names.index(name) for name in pair.columns] for pair in pairs], np.int64).reshape(-1, 2)
