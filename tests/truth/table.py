"""The outcome of experiments, for people and for scripts."""

from __future__ import annotations

import math

import msgspec
from rich.table import Table

from tests.truth.experiment import Experiment, Measured


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment's outcome."""

    experiment: str
    promise: str
    measured: dict[str, float | None]  # None: never
    holds: bool


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a run measured, and at which scale."""

    scale: float
    seconds: float
    holds: bool
    experiments: list[Row]


def row_of(experiment: Experiment, measured: Measured) -> Row:
    """Return the row of an experiment."""
    figures = {name: value if math.isfinite(value) else None for name, value in measured.figures.items()}
    return Row(experiment=experiment.name, promise=experiment.promise, measured=figures, holds=measured.holds)


def table_of(report: Report) -> Table:
    """Return the report as people read it."""
    title = f"Scale {report.scale:g}, {report.seconds:,.0f} s"
    table = Table("Experiment", "Promised", "Measured", "Holds", title=title, title_justify="left")
    for row in report.experiments:
        figures = ", ".join(f"{name.replace('_', ' ')} {_text(value)}" for name, value in row.measured.items())
        table.add_row(row.experiment, row.promise, figures, "yes" if row.holds else "NO")
    return table


def _text(value: float | None) -> str:
    if value is None:
        return "never"
    return f"{value:,.0f}" if value == round(value) else f"{value:.3g}"
