"""One closed window of a mix: what it says to an open incident."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

from services.detector.baseline import ALL, GATE_PSI
from services.detector.incidents.drift import Judged
from services.detector.incidents.incident import cell_key
from services.detector.mixes.reference import Mix
from services.detector.report import WindowRow
from services.detector.statistics.distances import psi_contributions
from services.detector.statistics.verdict import Verdict, judge
from services.detector.structs import IntArray
from services.detector.window_rows import Span, WindowRows
from shared.events.alert import Bin, Culprit


@dataclass(frozen=True, slots=True)
class ClosedMix:
    """Counts of a window, and the verdict on them."""

    mix: Mix
    counts: IntArray  # [bins]
    span: Span  # of the model's served rows
    verdict: Verdict

    is_of_pairs: ClassVar[bool] = True
    segment: ClassVar[str] = ALL

    @classmethod
    def of(cls, mix: Mix, counts: IntArray, span: Span) -> Self:
        """Return a window, judged."""
        return cls(mix, counts, span, judge(counts, mix.counts, ordered=mix.is_ordered, phi=mix.phi))

    @property
    def passes_gate(self) -> bool:
        """Tell whether the shares moved enough to matter."""
        return self.verdict.psi_debiased >= GATE_PSI

    def says(self) -> list[Judged]:
        """Return what the window says to an open incident."""
        return [
            Judged(
                name=cell_key(self.mix.name, ALL),
                p_value=self.verdict.p_value,
                culprit=self.culprit,
                is_armed=not self.mix.reason,
                passes_gate=self.passes_gate,
                is_calm=self.verdict.psi_debiased < GATE_PSI / 2,
            )
        ]

    def culprit(self) -> Culprit:
        """Return the mix as an incident names it."""
        mix = self.mix
        parts = psi_contributions(self.counts, mix.counts) if self.counts.sum() else self.counts * 0.0
        return Culprit(
            feature=mix.name,
            segment=ALL,
            detector=mix.detector,
            statistic="psi_debiased",
            value=self.verdict.psi_debiased,
            noise_floor=self.verdict.noise_floor,
            threshold=GATE_PSI,
            p_value=self.verdict.p_value,
            window_rows=int(self.counts.sum()),
            window_start_row=self.span.first,
            window_end_row=self.span.last,
            onset_row=self.span.first,
            bins=[
                Bin(name=name, count=int(count), reference_count=int(before), contribution=float(part))
                for name, count, before, part in zip(mix.names, self.counts, mix.counts, parts, strict=True)
            ],
        )

    def rows(self, renderer: WindowRows) -> Iterator[WindowRow]:  # noqa: ARG002 - segments have windows of their own
        """Yield nothing: windows of columns and cohorts of labels tell the same."""
        return iter(())
