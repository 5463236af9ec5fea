"""The naive rules beside Driftline, model by model: pages in all, pages before anything had changed, pages a week."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

DRIFTLINE = "Driftline"
DAYS_A_WEEK = 7


class PageCount(msgspec.Struct, frozen=True, kw_only=True):
    """What one rule pages on one model."""

    pages: int
    before_change: int | None  # false by construction; null where no change is known
    per_week: float | None  # of the stream; null where the stream has no length

    @property
    def after_change(self) -> int:
        """Return the pages that are not false by construction."""
        return self.pages - (self.before_change or 0)


class RuleLine(msgspec.Struct, frozen=True, kw_only=True):
    """One rule."""

    rule: str
    models: dict[str, PageCount]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """`naive_rules` of `summary.json`; the last rule is Driftline."""

    window_rows: int
    changes: dict[str, int]  # model to the row at which the data's authors changed it
    rules: list[RuleLine]


def compare(
    pages: Mapping[str, Mapping[str, Sequence[int]]],
    *,
    changes: Mapping[str, int],
    stream_days: Mapping[str, float],
    window_rows: int,
) -> Comparison:
    """Return the comparison; `pages` holds the row of each page by rule and model, Driftline's last."""
    return Comparison(
        window_rows=window_rows,
        changes=dict(changes),
        rules=[
            RuleLine(
                rule=rule,
                models={model: _count(rows, changes.get(model), stream_days[model]) for model, rows in models.items()},
            )
            for rule, models in pages.items()
        ],
    )


def show(comparison: Comparison, console: Console) -> None:
    """Print a table on a terminal, aligned lines elsewhere, and what follows from it."""
    _say(
        console,
        "",
        "Pages of naive rules on the same events"
        f" (columns over all traffic, no segments; windows of {comparison.window_rows:,} rows):",
    )
    if console.is_terminal:
        console.print(table(comparison))
    else:
        _say(console, *lines(comparison))
    _say(console, *verdicts(comparison))


def table(comparison: Comparison) -> Table:
    """Return what a terminal shows."""
    head, *body = _cells(comparison)
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for place, heading in enumerate(head):
        shown.add_column(heading, justify="right" if place else "left")
    for cells in body:
        shown.add_row(*cells, style="bold" if cells[0] == DRIFTLINE else "")
    return shown


def lines(comparison: Comparison) -> Iterator[str]:
    """Yield the same as aligned text."""
    rows = _cells(comparison)
    name, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
    for first, *numbers in rows:
        yield "  ".join([first.ljust(name), *(text.rjust(width) for text, width in zip(numbers, widths, strict=True))])


def verdicts(comparison: Comparison) -> Iterator[str]:
    """Yield a sentence for each model whose change is known."""
    *naive, ours = comparison.rules
    for model, row in comparison.changes.items():
        counts = [line.models[model] for line in naive]
        early = [count.before_change for count in counts if count.before_change]
        late = [count.after_change for count in counts]
        who = f"{len(early)} of {len(naive)} naive rules" if early else "no naive rule"
        most = f", one of them {max(early):,} times" if early else ""
        own = ours.models[model]
        yield (
            f"On {model} {who} paged before anything had changed (row {row:,}){most}, and after that each paged"
            f" {min(late):,} to {max(late):,} times; Driftline paged {own.pages - own.after_change:,} times before and"
            f" {own.after_change:,} after."
        )


def _say(console: Console, *sentences: str) -> None:
    for text in sentences:
        console.print(Text(text), soft_wrap=True)


def _count(rows: Sequence[int], change: int | None, days: float) -> PageCount:
    return PageCount(
        pages=len(rows),
        before_change=None if change is None else sum(row < change for row in rows),
        per_week=round(len(rows) * DAYS_A_WEEK / days, 2) if days > 0 else None,
    )


def _cells(comparison: Comparison) -> list[list[str]]:
    """Return a row of headings, then one of each rule."""
    models = list(comparison.rules[-1].models)
    head = [""]
    for model in models:
        head += [model, "before the change", "a week"] if model in comparison.changes else [model, "a week"]
    return [head, *([line.rule, *_numbers(line, comparison.changes)] for line in comparison.rules)]


def _numbers(line: RuleLine, changes: Mapping[str, int]) -> Iterator[str]:
    for model, count in line.models.items():
        yield f"{count.pages:,}"
        if model in changes:
            yield f"{count.before_change:,}"
        yield "-" if count.per_week is None else f"{count.per_week:,.2f}"
