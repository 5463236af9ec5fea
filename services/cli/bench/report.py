"""What a run of `driftline bench` found: JSON for scripts, a table for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import median

import msgspec

from services.cli.bench.figure import Figure


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    """What the numbers depend on."""

    machine: str
    cpus: int
    python: str
    libraries: dict[str, str]
    servers: dict[str, str]  # empty where none was needed


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One figure over all runs; `value` is their median."""

    name: str
    unit: str
    what: str
    value: float
    runs: list[float]
    min: float
    max: float
    floor: float | None
    limit: float | None
    holds: bool

    @classmethod
    def of(cls, figure: Figure, runs: Sequence[float]) -> Result:
        """Return the result of one run or more."""
        value = median(runs)
        return cls(
            name=figure.name,
            unit=figure.unit,
            what=figure.what,
            value=value,
            runs=list(runs),
            min=min(runs),
            max=max(runs),
            floor=figure.floor,
            limit=figure.limit,
            holds=figure.holds(value),
        )

    @property
    def promise(self) -> str:
        """Return the floor or the limit in words; empty where nothing is promised."""
        floor = [] if self.floor is None else [f"at least {number(self.floor)}"]
        limit = [] if self.limit is None else [f"at most {number(self.limit)}"]
        return ", ".join([*floor, *limit])


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that was measured in one call."""

    environment: Environment
    events: int
    ok: bool  # whether every floor and limit holds
    figures: list[Result]


def results(figures: Sequence[Figure], runs: Sequence[Mapping[str, float]]) -> Iterator[Result]:
    """Yield the result of each figure; every run must have a value for each."""
    for figure in figures:
        yield Result.of(figure, [run[figure.name] for run in runs])


def report(environment: Environment, events: int, figures: Sequence[Result]) -> Report:
    """Return the report."""
    return Report(
        environment=environment, events=events, ok=all(figure.holds for figure in figures), figures=list(figures)
    )


def number(value: float) -> str:
    """Return a value with three digits or more."""
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def lines(found: Report) -> Iterator[str]:
    """Yield the report for people: what it was measured on, then a line for each figure."""
    yield headline(found)
    width = max((len(result.name) for result in found.figures), default=0)
    yield f"{'figure':<{width}}  {'median':>9}  {'min':>9}  {'max':>9}  {'unit':<8}  promised"
    for result in found.figures:
        numbers = "  ".join(f"{number(value):>9}" for value in (result.value, result.min, result.max))
        broken = "" if result.holds else ": DOES NOT HOLD"
        yield f"{result.name:<{width}}  {numbers}  {result.unit:<8}  {result.promise}{broken}".rstrip()


def headline(found: Report) -> str:
    """Return in one line what it was measured on."""
    here = found.environment
    servers = "".join(f", {name} {version}" for name, version in here.servers.items())
    return f"{here.machine}, {here.cpus} CPUs, Python {here.python}{servers}; {found.events:,} events"
