"""One number of an alert, as it says it and as it follows from its own record."""

from __future__ import annotations

import math

import msgspec

CLOSE = 1e-9  # relative: logarithms of another machine may end in other digits
NOTHING = 1e-300
FOLD = "the fold of the log"


class Number(msgspec.Struct, frozen=True):
    """One number of an alert."""

    of: str  # the culprit; empty: the incident
    name: str
    said: float | None
    recomputed: float | None
    differs: bool = False
    needs: str = ""  # what it takes to recompute it; empty where it is

    @classmethod
    def compared(cls, of: str, name: str, said: float | None, recomputed: float, close: float = CLOSE) -> Number:
        """Return a number that follows from the record."""
        is_equal = said is not None and math.isclose(said, recomputed, rel_tol=close, abs_tol=NOTHING)
        return cls(of, name, said, recomputed, differs=not is_equal)

    @classmethod
    def unknown(cls, of: str, name: str, said: float, needs: str = FOLD) -> Number:
        """Return a number that does not."""
        return cls(of, name, said, None, needs=needs)
