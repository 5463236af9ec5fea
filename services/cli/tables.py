"""Tables for people: fitted to a terminal, whole lines for a pipe."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from services.cli import output

MOST_ROWS = 20  # unless all are asked for


@dataclass(frozen=True, slots=True)
class Listing:
    """Rows of texts under headings; `rest` rows more were left out."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    rest: int = 0

    def cut(self) -> Listing:
        """Return what fits a screen."""
        rows = self.rows[:MOST_ROWS]
        return Listing(self.head, rows, self.rest + len(self.rows) - len(rows))


def show(listing: Listing) -> None:
    """Write a listing to stdout."""
    if sys.stdout.isatty():
        Console().print(table(listing))
        return
    for text in lines(listing):
        output.result(text)


def table(listing: Listing) -> Table:
    """Return what a terminal shows: what is too long for its column goes on below."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=_rest(listing) or None, caption_justify="left")
    for heading in listing.head:
        shown.add_column(heading, overflow="fold")
    for row in listing.rows:
        shown.add_row(*(Text(output.visible(cell)) for cell in row))
    return shown


def lines(listing: Listing) -> Iterator[str]:
    """Yield the same as aligned text, a line a row."""
    rows = [listing.head, *listing.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
    if listing.rest:
        yield _rest(listing)


def _rest(listing: Listing) -> str:
    return f"... and {listing.rest:,} more: --all" if listing.rest else ""
