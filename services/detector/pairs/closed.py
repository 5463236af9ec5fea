"""One closed window of pairs: what each test says of it, to an open incident and to those who read windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from services.detector.baseline import ALL
from services.detector.incidents.drift import Judged
from services.detector.incidents.incident import cell_key
from services.detector.report import WindowRow
from services.detector.statistics.correlation import GATE_DELTA
from services.detector.window_rows import UNDEFINED, Span, WindowRows
from shared.events.alert import Bin, Culprit

CORRELATION, JOINT = "correlation", "joint"  # detectors
GATE = GATE_DELTA  # of a coefficient's difference, and of a table's debiased PSI alike


@dataclass(frozen=True, slots=True)
class Reading:
    """What one test of a pair says of one window."""

    pair: str
    detector: str
    statistic: str
    value: float
    effect: float  # what the gate is about: the size of the value, or the part of it that no single column shows
    noise_floor: float
    p_value: float
    is_armed: bool
    bins: Callable[[], list[Bin]] = field(default=list)

    @property
    def passes_gate(self) -> bool:
        """Tell whether the effect is large enough to matter."""
        return self.effect >= GATE

    @property
    def weight(self) -> tuple[bool, bool, float]:
        """Return what orders the readings of a pair: a coefficient that passes says more to people than a table."""
        return self.passes_gate, self.detector != JOINT, self.effect


@dataclass(frozen=True, slots=True)
class PairWindow:
    """One pair in one window: its readings, and what else its row tells."""

    name: str
    readings: Sequence[Reading]
    known: int  # rows in which both columns are known
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ClosedPairs:
    """All pairs of one window, of served rows or of labelled ones."""

    start_row: int  # 0-based count of the window's own kind of rows, both inclusive
    end_row: int
    span: Span  # of the model's served rows; of labelled ones from its first label's prediction to the newest row
    windows: Sequence[PairWindow]

    is_of_pairs: ClassVar[bool] = True
    segment: ClassVar[str] = ALL

    @property
    def readings(self) -> list[Reading]:
        """Return what all tests say."""
        return [reading for window in self.windows for reading in window.readings]

    def says(self) -> list[Judged]:
        """Return what the window says to an open incident, pair by pair: a pair is one series, however it is tested."""
        found = []
        for window in self.windows:
            if not window.readings:
                continue
            armed = [reading for reading in window.readings if reading.is_armed]
            strongest = max(armed or window.readings, key=lambda reading: reading.weight)
            chances = [reading.p_value for reading in armed]
            found.append(
                Judged(
                    name=cell_key(window.name, ALL),
                    p_value=min(1.0, len(chances) * min(chances, default=1.0)),
                    culprit=partial(self.culprit, strongest),
                    is_armed=bool(armed),
                    passes_gate=strongest.passes_gate,
                    is_calm=all(reading.effect < GATE / 2 for reading in window.readings),
                )
            )
        return found

    def culprit(self, reading: Reading) -> Culprit:
        """Return a pair as an incident names it."""
        return Culprit(
            feature=reading.pair,
            segment=ALL,
            detector=reading.detector,
            statistic=reading.statistic,
            value=reading.value,
            noise_floor=reading.noise_floor,
            threshold=GATE,
            p_value=reading.p_value,
            window_rows=self.end_row - self.start_row + 1,
            window_start_row=self.span.first,
            window_end_row=self.span.last,
            onset_row=self.span.first,
            bins=reading.bins(),
        )

    def rows(self, renderer: WindowRows) -> Iterator[WindowRow]:
        """Yield a row for each pair."""
        size = self.end_row - self.start_row + 1
        for window in self.windows:
            given: dict[str, Any] = {**_NOTHING, **window.fields}
            yield WindowRow(
                **renderer.model,
                segment=ALL,
                window_start_row=self.start_row,
                window_end_row=self.end_row,
                first_served_row=self.span.first,
                last_served_row=self.span.last,
                signal=window.name,
                n=window.known,
                n_missing=size - window.known,
                n_unseen=0,
                **given,
            )


_NOTHING: dict[str, Any] = {
    **UNDEFINED,
    **dict.fromkeys(("ks_stat", "wasserstein_norm", "ks_pvalue")),
    **dict.fromkeys(("verdict_psi", "verdict_psi_debiased", "verdict_df", "p_value", "noise_floor")),
    "bins": [],
    "counts": [],
    "reference_counts": [],
}
