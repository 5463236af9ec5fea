"""What a loss rests on: the labels of the predictions from its onset to its detection, and what they say by now.

Labels of these predictions go on coming after the page, and labels that came may be corrected. Where labels went wrong
and not the model, they belong together by when they came: so the labels that the monitor fired on count as well. The
evidence is the logarithm of how much likelier they are under the loss than under the reference; when next to nothing
is left of it, there was no loss.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray, IntArray

UNDONE = math.log(20.0)  # what is left would be there by chance once in twenty times
LEAST_RATE = 1e-6  # a rate of exactly 0 or 1 would rule out what has been seen


class Hypothesis(msgspec.Struct, frozen=True):
    """A loss of one monitor: what its values were before, and what they are since, by the age of labels."""

    series: int
    before: list[float]  # [bucket] rates of flags, means of losses from 0 to 1, or means of scores of deviation 1
    after: list[float]
    of_rates: bool = True

    def gains(self, values: FloatArray, ages: IntArray) -> FloatArray:
        """Return what each value adds to the evidence for the loss; NaN adds nothing."""
        if self.of_rates:
            pairs = [(_inside(p), _inside(q)) for p, q in zip(self.before, self.after, strict=True)]
            if_set = np.array([math.log(q / p) for p, q in pairs])
            if_clear = np.array([math.log((1.0 - q) / (1.0 - p)) for p, q in pairs])
            found = np.where(values != 0.0, if_set[ages], if_clear[ages])
            between = (values > 0.0) & (values < 1.0)  # a loss is so much of an error, and else none
            part = values[between]
            found[between] = part * if_set[ages[between]] + (1.0 - part) * if_clear[ages[between]]
        else:
            before, after = (np.array(means)[ages] for means in (self.before, self.after))
            found = (after - before) * (values - (before + after) / 2.0)
        return np.where(np.isnan(values), 0.0, found)


class Evidence(msgspec.Struct):
    """What the labels say of one loss by now: those that its monitor fired on, and all of its predictions."""

    hypothesis: Hypothesis
    first_label: int  # in order of arrival, from 0; both included
    last_label: int
    first_row: int  # of the predictions from the onset on; both included
    last_row: int
    total: float = 0.0
    undone_below: float = UNDONE

    def rest_on(self, total: float) -> None:
        """Take what the labels say when a monitor fires; of little, as a rule may fire on, as much must be undone."""
        self.total, self.undone_below = total, min(UNDONE, total - UNDONE)

    @property
    def is_undone(self) -> bool:
        """Tell whether next to nothing is left."""
        return self.total < self.undone_below

    def holds(self, labels: IntArray, rows: IntArray) -> BoolArray:
        """Tell which labels of which predictions it is made of."""
        fired_on = (self.first_label <= labels) & (labels <= self.last_label)
        return fired_on | ((self.first_row <= rows) & (rows <= self.last_row))


def _inside(rate: float) -> float:
    return min(max(rate, LEAST_RATE), 1.0 - LEAST_RATE)
