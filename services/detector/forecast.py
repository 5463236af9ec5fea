"""What a configuration gives a person: false pages a month, and the smallest shift that each cell finds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from services.detector import budget
from services.detector.baseline import ALL, GATE_PSI, Baseline
from services.detector.outlook.kinds import outlook
from services.detector.outlook.series import PERFORMANCE, Binds, Outlook, Series, Sight
from shared.monitors import ModelSpec

Scope = Literal["all traffic", "segments"]


class FalsePages(msgspec.Struct, frozen=True, kw_only=True):
    """False pages a month."""

    promised: float  # the configuration's, or the share of it that a kind of detectors has
    expected: float
    is_bound: bool  # at most `expected`; otherwise about as many


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """What the smallest shifts have to pass, of one detector on one kind of cell: how many series which."""

    detector: str
    scope: Scope
    kind: str
    armed: int
    gate: int
    budget: int


class CellForecast(msgspec.Struct, frozen=True, kw_only=True):
    """One column, or one monitor, of one cell."""

    name: str
    segment: str
    kind: str
    armed: list[str]  # detectors that may page
    why_not: dict[str, str]  # of the others
    finds: dict[str, Sight]  # what each detector finds within a week
    found_by: str = ""  # which of them finds the smallest shift of the distribution, or of a rate where it is alone
    smallest: Sight | None = None
    why_blind: str = ""  # why none is
    gate: float | None = None  # the column's own, where it is not the usual one


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """One model."""

    false_pages: FalsePages
    kinds: dict[str, FalsePages]  # by kind of detector
    binding: list[Binding]
    cells: list[CellForecast]  # those of all traffic first


def forecast(baseline: Baseline, spec: ModelSpec) -> Forecast:
    """Return what a model's configuration promises on traffic like its reference."""
    promised = spec.alerts.false_pages_per_month
    shares = budget.shares(promised)
    outlooks = {kind: outlook(kind, baseline, shares) for kind in budget.PRESENT}
    kinds = {kind.value: _false_pages(getattr(shares, kind.value), found) for kind, found in outlooks.items()}
    series = [one for found in outlooks.values() for one in found.series]
    return Forecast(
        false_pages=FalsePages(
            promised=promised,
            expected=sum(pages.expected for pages in kinds.values()),
            is_bound=any(pages.is_bound for pages in kinds.values()),
        ),
        kinds=kinds,
        binding=_bindings(series),
        cells=_cells(series, {column.name: column.gate for column in baseline.columns if column.gate != GATE_PSI}),
    )


def _false_pages(share: float, found: Outlook) -> FalsePages:
    return FalsePages(
        promised=share * budget.WEEKS_PER_MONTH,
        expected=found.false_per_week * budget.WEEKS_PER_MONTH,
        is_bound=found.is_bound,
    )


def _scope(series: Series) -> Scope:
    return "all traffic" if series.segment == ALL else "segments"


def _bindings(series: Iterable[Series]) -> list[Binding]:
    armed: Counter[tuple[str, Scope, str]] = Counter()
    bound: Counter[tuple[str, Scope, str, Binds]] = Counter()
    for one in series:
        if not one.why_not:
            kind_of_cell = (one.detector, _scope(one), one.kind)
            armed[kind_of_cell] += 1
            if one.binds is not None:
                bound[*kind_of_cell, one.binds] += 1
    return [
        Binding(
            detector=detector,
            scope=scope,
            kind=kind,
            armed=count,
            gate=bound[detector, scope, kind, Binds.GATE],
            budget=bound[detector, scope, kind, Binds.BUDGET],
        )
        for (detector, scope, kind), count in armed.items()
    ]


def _cells(series: Iterable[Series], gates: Mapping[str, float]) -> list[CellForecast]:
    by_cell: dict[tuple[str, str, str], list[Series]] = {}
    for one in series:
        by_cell.setdefault((one.segment, one.name, one.kind), []).append(one)
    found = [_cell(of_cell, gates) for of_cell in by_cell.values()]
    return sorted(found, key=lambda cell: cell.segment != ALL)


def _cell(of_cell: Sequence[Series], gates: Mapping[str, float]) -> CellForecast:
    finds = {one.detector: one.sight for one in of_cell if one.sight is not None}
    found_by = min(finds, key=lambda detector: _size(finds[detector]), default="")
    smallest = finds.get(found_by)
    first = of_cell[0]
    return CellForecast(
        name=first.name,
        segment=first.segment,
        kind=first.kind,
        armed=[one.detector for one in of_cell if not one.why_not],
        why_not={one.detector: one.why_not for one in of_cell if one.why_not},
        finds=finds,
        found_by=found_by,
        smallest=smallest,
        why_blind="" if smallest is not None else next((one.why_blind for one in of_cell if one.why_blind), ""),
        gate=None if first.kind == PERFORMANCE else gates.get(first.name),
    )


def _size(sight: Sight) -> tuple[bool, bool, float]:
    """Return what sorts the shifts that detectors find on one series.

    Of a pair the coefficients come first; of a column those of one level's rate last.
    """
    sizes = (sight.correlation, sight.psi, sight.sd, sight.rate, sight.change)
    size = next((size for size in sizes if size is not None), 0.0)
    return sight.rate is not None, sight.correlation is None, size
