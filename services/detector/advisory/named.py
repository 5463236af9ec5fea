"""Detectors by their name: our own banks with one series, and any class of river where river is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from types import MappingProxyType
from typing import NamedTuple, Protocol

import numpy as np

from services.detector.banks.adwin import AdwinBank
from services.detector.banks.detections import Detections
from services.detector.banks.hddm_a import HddmABank
from services.detector.banks.page_hinkley import PageHinkleyBank
from services.detector.banks.parameters import check_parameters
from services.detector.state import Stateful
from services.detector.structs import FloatArray
from shared.detectors import DetectorSpec, Form
from shared.errors import ConfigurationError


class Bank(Stateful, Protocol):
    """One series of one detector."""

    def update(self, values: FloatArray) -> Detections:
        """Fold `values` [rows, 1] in row order; a value that is not finite is no event."""
        ...


class Named(NamedTuple):
    """What a name and its parameters stand for."""

    make: Callable[[], Bank]
    form: Form | None  # of the numbers that it is meant for; None: it takes flags only
    knows_onset: bool  # whether the events of a detection are those since the change, not since it last started


def named(path: str, spec: DetectorSpec) -> Named:
    """Return what a detector of the configuration, which stands under `path`, is.

    Raises:
        ConfigurationError: river has no such detector or is not installed, or a parameter does not work; names the
            path.
    """
    if spec.is_of_river:
        return _of_river(path, spec)
    make, form = _OURS[spec.name]
    try:
        check_parameters(spec.name, signature(make).parameters, spec.parameters)
        make(**spec.parameters)
    except ValueError as exc:
        raise ConfigurationError(f"{path}.parameters", str(exc)) from exc
    return Named(lambda: make(**spec.parameters), form, knows_onset=True)


def _of_river(path: str, spec: DetectorSpec) -> Named:
    try:
        # An extra that takes seconds to import: only where a configuration names it.
        from services.detector.banks import river_objects as river
    except ModuleNotFoundError as exc:
        raise ConfigurationError(
            f"{path}.name", f"{spec.name} needs river, which is not installed: pip install 'driftline[river]'"
        ) from exc
    name = spec.name.rpartition(".")[2]
    if river.PATHS.get(spec.name) is None:
        known = ", ".join(at for at, short in river.PATHS.items() if short in river.NAMES)
        raise ConfigurationError(f"{path}.name", f"river has no detector {spec.name}; there are {known}")
    if name not in river.NAMES:
        raise ConfigurationError(f"{path}.name", river.why_not(name))
    parameters = river.seeded(name, spec.parameters)
    try:
        river.RiverBank(name, 1, parameters)
    except ValueError as exc:
        raise ConfigurationError(f"{path}.parameters", str(exc)) from exc
    form: Form | None = None if river.is_binary(name) else "normal_score"
    return Named(lambda: river.RiverBank(name, 1, parameters), form, knows_onset=False)


def _adwin(*, delta: float = 0.002) -> Bank:
    if not 0.0 < delta < 1.0:
        raise ValueError(f"adwin.delta is between 0 and 1, not {delta!r}")
    return AdwinBank(np.array([delta], np.float64))


def _hddm_a(*, drift_confidence: float = 0.001, two_sided_test: bool = False) -> Bank:
    return HddmABank(np.array([drift_confidence], np.float64), two_sided_test)


def _page_hinkley(
    *, min_instances: int = 30, delta: float = 0.005, threshold: float = 50.0, alpha: float = 0.9999
) -> Bank:
    if not (min_instances >= 1 and threshold > 0.0 and 0.0 < alpha <= 1.0):
        raise ValueError("page_hinkley wants min_instances of 1 or more, threshold above 0, alpha above 0 and up to 1")
    return PageHinkleyBank(np.array([threshold], np.float64), float(delta), float(alpha), min_instances)


_OURS: Mapping[str, tuple[Callable[..., Bank], Form]] = MappingProxyType(
    {
        "adwin": (_adwin, "rank"),
        "hddm_a": (_hddm_a, "rank"),  # its bound is for values between 0 and 1
        "page_hinkley": (_page_hinkley, "normal_score"),
    }
)
