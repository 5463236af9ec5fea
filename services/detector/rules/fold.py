"""Rules as a fold over closed windows: which series fires, which still does, which has been quiet again for long.

Each column that a rule watches is a series of its own. It fires when its condition has been met in as many windows in a
row as the rule asks for, then keeps quiet until it has not been met in three windows in a row. A window that does not
know the statistic changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import msgspec

from services.detector.rules.binding import BoundRule
from services.detector.rules.readings import Readings
from shared.rules import Every

CALM_WINDOWS = 3


class Turn(Enum):
    """What a window did to a series of a rule."""

    FIRED = "fired"
    HOLDS = "holds"  # it fired before, and would again
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Turned:
    """One series of one rule, after a window."""

    rule: int  # place among the rules
    column: str
    turn: Turn
    value: float
    since: int  # the model's served row from which the condition has been met; when cleared, not been met


class Standing(msgspec.Struct):
    """One series of one rule between windows."""

    met: int = 0  # windows in a row in which the condition was met
    unmet: int = 0
    since: int = 0  # where the first of them began
    fired: bool = False


class RuleState(msgspec.Struct):
    """What is kept of all rules."""

    standings: list[dict[str, Standing]]  # by rule, then by column


class RuleFold:
    """The rules of one model version."""

    def __init__(self, rules: Sequence[BoundRule]) -> None:
        self._rules = rules
        self.state = RuleState([{} for _ in rules])

    def take(self, readings: Readings, every: Every, first_row: int) -> list[Turned]:
        """Take one closed window; return what it did to the series of the rules, in their order.

        every: the window's kind; rules that ask for windows of another one do not see it.
        first_row: the model's served row at which it began.
        """
        found: list[Turned] = []
        for place, bound in enumerate(self._rules):
            for column, value, is_met in bound.found(readings, every):
                standing = self.state.standings[place].setdefault(column, Standing())
                turned = turn(standing, first_row, bound.rule.condition.windows, is_met=is_met)
                if turned is not None:
                    found.append(Turned(place, column, turned, value, standing.since))
        return found

    def is_firing(self, rule: int) -> bool:
        """Tell whether any series of a rule has fired and is not quiet again."""
        return any(standing.fired for standing in self.state.standings[rule].values())


def turn(standing: Standing, first_row: int, windows: int, *, is_met: bool) -> Turn | None:
    """Move a series one window, or cohort, on; return what that did to it, None for nothing."""
    if (standing.met if is_met else standing.unmet) == 0:
        standing.since = first_row
    standing.met = standing.met + 1 if is_met else 0
    standing.unmet = 0 if is_met else standing.unmet + 1
    if not standing.fired:
        standing.fired = standing.met >= windows
        return Turn.FIRED if standing.fired else None
    if is_met:
        return Turn.HOLDS
    standing.fired = standing.unmet < CALM_WINDOWS
    return None if standing.fired else Turn.CLEARED
