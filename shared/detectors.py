"""`detectors: [...]` in `driftline.yaml`: detectors that people name, advisory beside what is calibrated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from shared.errors import ConfigurationError

MAX_DETECTORS = 32
OURS = ("adwin", "hddm_a", "page_hinkley")

Plain: TypeAlias = bool | int | float | str
Form = Literal["rank", "normal_score"]

_OF_RIVER = re.compile(r"river\.drift(\.binary)?\.[A-Za-z]+")


class DetectorSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A detector on one signal of all traffic."""

    name: str  # one of `OURS`, or a class of river: `river.drift.KSWIN`, `river.drift.binary.DDM`
    signal: str  # a numeric column, or what labels say: `error`, `false_negative`, `signed_residual`, ...
    form: Form | None = msgspec.field(name="as", default=None)  # of a number; None: the one that fits the detector
    parameters: dict[str, Plain] = {}

    @property
    def is_of_river(self) -> bool:
        """Tell whether river has to be installed for it."""
        return self.name not in OURS

    @property
    def text(self) -> str:
        """Return what people read."""
        given = ", ".join(f"{name}={value}" for name, value in self.parameters.items())
        form = "" if self.form is None else f" as {self.form}"
        return f"{self.name}{f'({given})' if given else ''} on {self.signal}{form}"


def check_detectors(path: str, specs: Sequence[DetectorSpec]) -> None:
    """Check what can be known without the detectors themselves.

    Raises:
        ConfigurationError: too many, one that is given twice, or a name that is no detector's; names its path.
    """
    if len(specs) > MAX_DETECTORS:
        raise ConfigurationError(path, f"{len(specs)} detectors; at most {MAX_DETECTORS}")
    for number, spec in enumerate(specs):
        if spec in specs[:number]:
            raise ConfigurationError(f"{path}.{number}", f"the detector {spec.text} is given twice")
        if spec.is_of_river and _OF_RIVER.fullmatch(spec.name) is None:
            raise ConfigurationError(
                f"{path}.{number}.name",
                f"{spec.name[:60]!r} is no detector: there are {', '.join(OURS)}, and those of river by their class,"
                " like river.drift.KSWIN or river.drift.binary.DDM",
            )
