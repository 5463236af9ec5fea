"""Parameters that people give to a detector, against those that it has."""

from __future__ import annotations

import math
from collections.abc import Mapping
from inspect import Parameter

from shared.detectors import Plain


def check_parameters(detector: str, known: Mapping[str, Parameter], given: Mapping[str, Plain]) -> None:
    """Check that each parameter exists and is of the kind of its default; one without a default is a whole number.

    Raises:
        ValueError: one does not; names it.
    """
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"{detector} has no parameter {name!r}: there are {', '.join(known) or 'none'}")
        default = type(known[name].default)
        kinds = {float: (float, int), type(None): (int,)}.get(default, (default,))
        if type(value) not in kinds or (isinstance(value, float) and not math.isfinite(value)):
            raise ValueError(f"{detector}.{name} is {kinds[0].__name__}, not {value!r}")
