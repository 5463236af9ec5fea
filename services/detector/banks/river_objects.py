"""Any detector of river by the name of its class, one object per series: `river.drift` and `river.drift.binary`.

About a hundred times slower than a compiled bank, and advisory: river says that something changed, and neither since
when nor in which direction. Importing this module imports river, which takes seconds and 200 MB.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from inspect import isclass, signature
from typing import Any, ClassVar, Self

import numpy as np
from river import base, drift

from services.detector.banks.detections import FOUND, Detections, detections
from services.detector.banks.object_state import become, fields_of
from services.detector.banks.parameters import check_parameters
from services.detector.banks.values import by_series
from services.detector.state import Fields, fill, integer, pack
from services.detector.structs import FloatArray
from shared.detectors import Plain
from shared.errors import Corrupt

RIVER = version("river")
SEED = 1

_MODULES: dict[str, dict[str, Any]] = {
    module.__name__: {
        name: kind
        for name, kind in vars(module).items()
        if isclass(kind) and issubclass(kind, base.DriftDetector | base.BinaryDriftDetector)
    }
    for module in (drift, drift.binary)
}
_KINDS: dict[str, Any] = {name: kind for kinds in _MODULES.values() for name, kind in kinds.items()}
_REFUSED = {
    "ADWIN": "river keeps its state in compiled code, which gives none; `adwin` is the same detector",
    "HDDMW": "river keeps its averages in compiled code, which gives no state",
}
NAMES = tuple(sorted(set(_KINDS) - set(_REFUSED)))

PATHS = {f"{module}.{name}": name for module, kinds in _MODULES.items() for name in kinds}  # as they are imported

_TRIAL_EVENTS = 200  # beyond those that fill a window
_LONGEST_WINDOW = 10_000  # values that a detector may keep of each series


def why_not(detector: str) -> str:
    """Return why a detector of river is not offered; empty where it is."""
    return f"{detector}: {_REFUSED[detector]}" if detector in _REFUSED else ""


def is_binary(detector: str) -> bool:
    """Tell whether a detector takes flags."""
    return issubclass(_KINDS[detector], base.BinaryDriftDetector)


def seeded(detector: str, parameters: Mapping[str, Plain]) -> dict[str, Plain]:
    """Return the parameters with a fixed seed where the detector is random and has none: a replay tells the same."""
    is_random = "seed" in signature(_KINDS[detector]).parameters
    return ({"seed": SEED} if is_random else {}) | dict(parameters)


class RiverBank:
    """One detector of class `detector` per series, each made with the same parameters.

    Detectors of `river.drift.binary` are given 0 for a value of 0 and 1 for any other. `events` and `mean` of a
    detection are those since the detector last started, which is as much as river says; `statistic` and `direction`
    are 0.

    Raises:
        ValueError: the class or a parameter is unknown or does not work, is random without a `seed`, or keeps state
            that does not read back exactly.
    """

    name: ClassVar[str] = "river_objects"
    version: ClassVar[int] = 1

    def __init__(self, detector: str, series: int, parameters: Mapping[str, Plain] | None = None) -> None:
        self.series = series
        self._detector = detector
        self._parameters = dict(parameters or {})
        _check(detector, self._parameters)
        self._is_binary = is_binary(detector)
        self._objects = [_KINDS[detector](**self._parameters) for _ in range(series)]
        self._counted = {"events": np.zeros(series, np.int64), "total": np.zeros(series)}

    def update(self, values: FloatArray) -> Detections:
        """Fold `values` [rows, series] in row order; a value that is not finite is no event of its series."""
        found = [entry for s, column in enumerate(by_series(values).tolist()) for entry in self._follow(s, column)]
        return detections(np.array(found, np.float64).reshape(-1, FOUND))

    def _follow(self, s: int, column: list[float]) -> list[tuple[float, ...]]:
        one, count, total = self._objects[s], int(self._counted["events"][s]), float(self._counted["total"][s])
        found: list[tuple[float, ...]] = []
        for row, value in enumerate(column):
            if not math.isfinite(value):
                continue
            x = int(value != 0.0) if self._is_binary else value
            one.update(x)
            count += 1
            total += x
            if one.drift_detected:
                found.append((row, s, count, total / count, 0.0, 0.0))
                count, total = 0, 0.0
        self._counted["events"][s], self._counted["total"][s] = count, total
        return found

    def snapshot(self) -> Fields:
        """Return everything that decides about the future, constants and river's version included."""
        return {
            "river": RIVER,
            "detector": self._detector,
            "parameters": dict(self._parameters),
            "series": self.series,
            **{name: values.copy() for name, values in self._counted.items()},
            "objects": [fields_of(one) for one in self._objects],
        }

    @classmethod
    def restore(cls, fields: Fields) -> Self:
        """Return the bank that `snapshot` was taken of.

        Raises:
            Corrupt: the fields are of another bank, or of objects of another release of river.
        """
        if fields.get("river") != RIVER:
            raise Corrupt(f"state of river {fields.get('river')}, this is river {RIVER}")
        detector, parameters, objects = fields.get("detector"), fields.get("parameters"), fields.get("objects")
        if not isinstance(detector, str) or not isinstance(parameters, dict) or not isinstance(objects, list):
            raise Corrupt("no state of detectors of river")
        try:
            bank = cls(detector, integer(fields, "series"), parameters)
        except ValueError as exc:
            raise Corrupt(str(exc)) from exc
        if len(objects) != bank.series:
            raise Corrupt(f"{len(objects)} detectors of {bank.series} series")
        fill(bank._counted, fields)
        for one, state in zip(bank._objects, objects, strict=True):
            become(one, state)
        return bank


def _check(detector: str, parameters: dict[str, Plain]) -> None:
    if why_not(detector):
        raise ValueError(why_not(detector))
    if detector not in _KINDS:
        raise ValueError(f"no detector {detector!r} in river {RIVER}: there are {', '.join(NAMES)}")
    known = signature(_KINDS[detector]).parameters
    check_parameters(detector, known, parameters)
    if "seed" in known and "seed" not in parameters:
        raise ValueError(f"{detector} is random: give it a seed")
    why = _failure(detector, tuple(sorted(parameters.items())))
    if why:
        raise ValueError(f"{detector} does not work with {parameters}: {why}")


@lru_cache(maxsize=64)
def _failure(detector: str, parameters: tuple[tuple[str, Plain], ...]) -> str:
    """Run a detector over a few events, for river finds out about most parameters only then; "" when it works."""
    try:
        one = _KINDS[detector](**dict(parameters))
        longest = max((value.maxlen or 0 for value in vars(one).values() if isinstance(value, deque)), default=0)
        if longest > _LONGEST_WINDOW:
            return f"it would keep {longest} values, at most {_LONGEST_WINDOW} are allowed"
        for row in range(longest + _TRIAL_EVENTS):
            one.update(row // 7 % 2)
        pack(detector, 1, fields_of(one))
    except (ArithmeticError, TypeError, ValueError) as exc:
        return str(exc)
    return ""
