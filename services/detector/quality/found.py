"""What is found of data quality at served rows, before incidents take it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from services.detector.quality.reference import Statistic
from services.detector.statistics.proportions import standard_error
from services.detector.structs import FloatArray, IntArray
from services.detector.window_rows import Span
from shared.events.alert import Culprit

DETECTOR = "quality"


@dataclass(frozen=True, slots=True)
class Amiss:
    """At one served row, a share that is no longer usual."""

    row: int
    culprit: Culprit
    chance_per_week: float


@dataclass(frozen=True, slots=True)
class Looked:
    """At one served row, the end of a cell's window: it tells which shares are as usual, where someone asks."""

    row: int
    cell: int
    checks: IntArray
    amiss: IntArray  # rows, of each check
    known: IntArray  # rows that it applies to
    p0: FloatArray
    gates: FloatArray

    def calm(self) -> Iterator[tuple[int, bool]]:
        """Yield each check, and whether its share is as usual: nearer to that than to its gate."""
        is_calm = (self.known > 0) & (self.amiss < self.known * (self.p0 + self.gates) / 2.0)
        yield from zip(self.checks.tolist(), is_calm[self.checks].tolist(), strict=True)


@dataclass(frozen=True, slots=True)
class Missed:
    """At one served row, a category that comes no more, or does again."""

    row: int
    cell: int
    slot: int
    culprit: Culprit | None  # None: it is there again


Told: TypeAlias = "Amiss | Looked | Missed"


class Named(NamedTuple):
    """One share of one cell."""

    feature: str
    segment: str
    statistic: Statistic

    def culprit(self, count: int, rows: int, gate: float, span: Span) -> Culprit:
        """Return it as an incident names it."""
        return Culprit(
            feature=self.feature,
            segment=self.segment,
            detector=DETECTOR,
            statistic=self.statistic.value,
            value=count / rows,
            noise_floor=standard_error(count, rows),
            threshold=gate,
            p_value=None,
            window_rows=rows,
            window_start_row=span.first,
            window_end_row=span.last,
            onset_row=span.first,
            bins=[],
        )
