"""The detector's banks against river's detectors, one object a series, on the same values.

Both find the same detections. The loop calls `update` for every value and then asks whether a change was detected; a
bank takes full blocks. ADWIN reads ranks, Page-Hinkley (river's form) normal scores, HDDM_A flags, none of which drift.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from river import drift

from services.cli.bench.figure import Figure, Measure, Place
from services.cli.bench.turns import in_turns
from services.detector.banks.adwin import AdwinBank
from services.detector.banks.detections import Detections
from services.detector.banks.hddm_a import HddmABank
from services.detector.banks.page_hinkley import PageHinkleyBank
from services.detector.ranks import CLIP
from services.detector.structs import FloatArray
from shared.adapters.process import collect_rarely
from shared.events.block import MAX_ROWS

SERIES = 10
ROUNDS = 5
ERROR_RATE = 0.2


class _Bank(Protocol):
    def update(self, values: FloatArray, /) -> Detections: ...


@dataclass(frozen=True, slots=True)
class _Rivals:
    """A bank of SERIES series, and river's detector of one; both with river's constants."""

    name: str
    bank: Callable[[], _Bank]
    detector: Callable[[], Any]
    values: Callable[[np.random.Generator, int], FloatArray]
    floor: float | None


RIVALS = (
    _Rivals(
        "adwin",
        lambda: AdwinBank(np.full(SERIES, 0.002)),
        drift.ADWIN,
        lambda draw, rows: draw.random((rows, SERIES)),
        floor=8.0,
    ),
    _Rivals(
        "page_hinkley",
        lambda: PageHinkleyBank(np.full(SERIES, 50.0)),
        drift.PageHinkley,
        lambda draw, rows: np.clip(draw.standard_normal((rows, SERIES)), -CLIP, CLIP),
        floor=50.0,
    ),
    _Rivals(
        "hddm_a",
        lambda: HddmABank(np.full(SERIES, 0.001)),
        drift.binary.HDDMA,
        lambda draw, rows: (draw.random((rows, SERIES)) < ERROR_RATE).astype(np.float64),
        floor=None,
    ),
)


class BanksBench:
    """Nanoseconds an update, and how many times faster the bank is."""

    needs_stack = False
    figures = tuple(
        figure
        for rivals in RIVALS
        for figure in (
            Figure(
                name=f"banks.{rivals.name}.ratio",
                unit="ratio",
                what=f"updates/s of the {rivals.name} bank to those of river's detector",
                floor=rivals.floor,
            ),
            Figure(name=f"banks.{rivals.name}.bank", unit="ns", what=f"an update of the {rivals.name} bank"),
            Figure(name=f"banks.{rivals.name}.river", unit="ns", what=f"an update of river's {rivals.name}"),
        )
    )

    @contextmanager
    def ready(self, place: Place) -> Iterator[Measure]:
        """Draw the values, `place.events` for each kind of detector."""
        draw = np.random.default_rng(0)
        values = [rivals.values(draw, place.events // SERIES) for rivals in RIVALS]
        with collect_rarely():
            yield partial(_measure, values)


BENCH = BanksBench()


def _measure(values: Sequence[FloatArray]) -> Mapping[str, float]:
    found: dict[str, float] = {}
    for rivals, table in zip(RIVALS, values, strict=True):
        bank, river = _Banked(rivals, table), _Looped(rivals, table)
        seconds = in_turns(time.thread_time, ROUNDS, bank.ready, river.ready)
        if bank.detections != river.detections:
            raise AssertionError(f"{rivals.name}: the bank found {bank.detections}, river {river.detections}")
        ours, theirs = (took / table.size * 1e9 for took in seconds)
        found |= {
            f"banks.{rivals.name}.ratio": theirs / ours,
            f"banks.{rivals.name}.bank": ours,
            f"banks.{rivals.name}.river": theirs,
        }
    return found


class _Banked:
    """All values through a bank."""

    def __init__(self, rivals: _Rivals, values: FloatArray) -> None:
        self.detections = 0
        self._rivals = rivals
        self._blocks = [values[first : first + MAX_ROWS] for first in range(0, len(values), MAX_ROWS)]

    def ready(self) -> Callable[[], object]:
        """Return the work, from an empty bank on."""
        return partial(self._update, self._rivals.bank())

    def _update(self, bank: _Bank) -> None:
        self.detections = sum(len(bank.update(block)) for block in self._blocks)


class _Looped:
    """All values through river's detectors, one at a time."""

    def __init__(self, rivals: _Rivals, values: FloatArray) -> None:
        self.detections = 0
        self._rivals = rivals
        self._columns: list[list[float]] = values.T.tolist()

    def ready(self) -> Callable[[], object]:
        """Return the work, from new detectors on."""
        return partial(self._update, [self._rivals.detector() for _ in self._columns])

    def _update(self, detectors: Sequence[Any]) -> None:
        found = 0
        for detector, values in zip(detectors, self._columns, strict=True):
            for value in values:
                detector.update(value)
                found += detector.drift_detected
        self.detections = found
