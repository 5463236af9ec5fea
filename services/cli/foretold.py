"""What `driftline check` tells a person of a forecast: a table of cells, a table of detectors, and two sentences."""

from __future__ import annotations

from collections.abc import Iterator

from services.cli.tables import Listing
from services.detector.forecast import CellForecast, FalsePages, Forecast
from services.detector.outlook.series import Sight
from services.detector.state_size import StateSize

CELLS = ("column", "cell", "kind", "smallest shift in a week", "found by", "pages")
WINDOWS = ("psi", "psi_trailing")  # whose absence is told of beside others; of the rest the JSON tells
BINDING = ("detector", "cells", "kind", "armed", "what binds")


def cells(found: Forecast) -> Listing:
    """Return a row for each column and monitor of each cell, all traffic first."""
    return Listing(
        CELLS,
        [
            (cell.name, cell.segment, cell.kind, _smallest(cell), cell.found_by or "-", _pages(cell))
            for cell in found.cells
        ],
    )


def binding(found: Forecast) -> Listing:
    """Return a row for each detector and kind of cell that may page: whether its budget or its gate is what binds."""
    return Listing(
        BINDING,
        [
            (one.detector, one.scope, one.kind, f"{one.armed:,}", _counted(gate=one.gate, budget=one.budget))
            for one in found.binding
        ],
    )


def sentences(found: Forecast, state: StateSize) -> Iterator[str]:
    """Yield what the whole model promises and costs."""
    pages = found.false_pages
    each = ", ".join(f"{kind} {_expected(part)}" for kind, part in found.kinds.items())
    yield f"false pages a month: promise <= {pages.promised:g}, expected {_expected(pages)} ({each})"
    compared = f"; at most {size(state.challengers)} once for its challengers" if state.challengers else ""
    yield (
        f"state: {size(state.bytes)} for each version of the model, and more with its labels; {state.series:,} series,"
        f" {size(state.bytes_per_series)} each{compared}"
    )


def size(count: float) -> str:
    """Return bytes as people say them, in powers of ten."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count:.0f} B"


def _smallest(cell: CellForecast) -> str:
    return shift(cell.smallest) if cell.smallest is not None else cell.why_blind or "-"


def shift(sight: Sight) -> str:
    """Return a shift in the terms that it has."""
    if sight.rate is not None:
        return f"rate {sight.reference_rate or 0.0:.3f} to {sight.rate:.3f}"
    if sight.correlation is not None:
        return f"correlation by {sight.correlation:.2f}"
    if sight.change is not None:
        return f"change by {sight.change:.3f}"
    psi = "" if sight.psi is None else f"PSI {sight.psi:.2f}"
    if sight.sd is None:
        return psi
    return f"{sight.sd:.2f} sd" + (f" ({psi})" if psi else "")


def _pages(cell: CellForecast) -> str:
    """Return by which detectors a cell may page; why not by windows, or by the first detector where none may."""
    if not cell.armed:
        return f"no: {next(iter(cell.why_not.values()), 'nothing watches it')}"
    why_not = "".join(f"; not {name}: {cell.why_not[name]}" for name in WINDOWS if name in cell.why_not)
    gate = "" if cell.gate is None else f"; gate {cell.gate:g}"
    return ", ".join(cell.armed) + why_not + gate


def _expected(pages: FalsePages) -> str:
    if pages.expected < 0.005:
        return "< 0.01"
    return f"{'<= ' if pages.is_bound else ''}{pages.expected:.2f}"


def _counted(**counts: int) -> str:
    held = {name: count for name, count in counts.items() if count}
    return next(iter(held), "-") if len(held) < 2 else ", ".join(f"{name} {count:,}" for name, count in held.items())
