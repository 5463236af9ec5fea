"""A fault, and what became of it: what must have happened, what must have held, what the logs say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from services.cli.verify.report import Check

if TYPE_CHECKING:
    from tests.faults.rig import Rig


class Verdict(StrEnum):
    """What a row of the table says."""

    GREEN = "green"
    RED = "red"
    NOT_RUN = "not run"


def nothing_missing() -> str:
    """Return why a fault cannot be injected here: it can."""
    return ""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row. `inject` runs services and traffic, lets the fault happen, and says of it what it saw."""

    number: int
    title: str
    inject: Callable[[Rig], None]
    missing: Callable[[], str] = nothing_missing
    brokers: int = 1
    is_minimum: bool = False  # one of those that every change is tested with
    is_verified: bool = True  # False: a log itself is gone, so that there is nothing to fold
    unproved: frozenset[Check] = frozenset()  # what can no longer follow from what is left of the logs
    joins_all: bool = True  # every request and every label of the load meets its other half
    model: Mapping[str, Any] = field(default_factory=dict)  # of the configuration, where it is not as usual
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Findings:
    """What is found of one fault while it is injected."""

    happened: dict[str, int] = field(default_factory=dict)  # each of them must be above 0, or there was no fault
    seen: dict[str, int] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What the table shows of one fault."""

    number: int
    fault: str
    verdict: Verdict
    happened: dict[str, int] = {}
    seen: dict[str, int] = {}
    verified: str = ""  # what `driftline verify` says
    seconds: float = 0.0
    why: list[str] = []  # of red and of not run
    seed: int = 0


def judged(
    fault: Fault, findings: Findings, *, verified: str, differences: list[str], seconds: float, seed: int
) -> Row:
    """Return the row of a fault that was injected: green only if it happened, everything held, and the logs agree."""
    why = [f"did not happen: {name}" for name, times in findings.happened.items() if times <= 0]
    if not findings.happened:
        why.append("nothing shows that it happened")
    why += findings.broken + differences
    if fault.is_verified and verified != "clean":
        why.append(f"verify says {verified}")
    return Row(
        number=fault.number,
        fault=fault.title,
        verdict=Verdict.RED if why else Verdict.GREEN,
        happened=findings.happened,
        seen=findings.seen,
        verified=verified,
        seconds=round(seconds, 1),
        why=why,
        seed=seed,
    )
