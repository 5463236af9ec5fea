"""Second changes: errors that rise again while an incident of performance is open.

The monitors that fired have nothing new to say of a loss that goes on. ADWIN looks at the same flags, each less what is
to be expected at the age of its label, and finds where their mean moves, wherever it stands: a model that is bad in one
way may become bad in another.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from services.detector.banks.adwin import AdwinBank
from services.detector.state import load, save
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray, IntArray

DELTA = 0.002
ADWIN = "adwin"


@dataclass(frozen=True, slots=True)
class Cut:
    """The errors of one monitor have become more at a labelled row of the batch."""

    row: int
    place: int  # of the monitor
    labels: int  # of the monitor since then, the last one included


class Reanchor:
    """One window a monitor."""

    def __init__(self, p0: FloatArray, allowed: BoolArray) -> None:
        """Begin; p0: [buckets, monitors], rates of errors that count as none the worse at an age of the label."""
        self._p0, self._allowed = p0, allowed
        self._bank = AdwinBank(np.full(len(allowed), DELTA))

    def update(self, flags: FloatArray, ages: IntArray) -> list[Cut]:
        """Take labelled rows, flags of each monitor, in order of arrival; return where errors became more, by row."""
        found = self._bank.update(np.where(self._allowed, flags - self._p0[ages], np.nan))
        return [
            Cut(int(found.row[i]), int(found.series[i]), int(found.events[i]))
            for i in range(len(found))
            if found.direction[i] > 0
        ]

    def take_back(self, place: int, later: int, age: int, flag: float, instead: float) -> None:
        """Take an error of a monitor back, since which it heard `later` labels; see `BernoulliCusumBank.take_back`."""
        usual = float(self._p0[age, place])
        other = None if math.isnan(instead) else instead - usual
        self._bank.take_back(place, later, flag - usual, other)

    def snapshot(self) -> bytes:
        """Return the state."""
        return save(self._bank)

    def restore(self, state: bytes) -> None:
        """Become what gave the snapshot."""
        self._bank = load(AdwinBank, state)
