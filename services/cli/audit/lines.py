"""An audit as people read it, and as spreadsheets do."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import msgspec

from services.cli.audit.entries import Entry
from services.cli.tables import Listing

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def listing(entries: Sequence[Entry]) -> Listing:
    """Return the entries as a table; content hashes are in JSON and CSV."""
    head = ("time", "what", "model", "who", "record", "says")
    return Listing(head, [(e.time, e.what, e.model, e.who, e.at, e.text) for e in entries])


def csv_of(entries: Sequence[Entry]) -> str:
    """Return the entries as CSV (RFC 4180), no cell of which a spreadsheet takes for a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)  # a lone \r in a cell, too, ends no row
    writer.writerow(Entry.__struct_fields__)
    for entry in entries:
        writer.writerow(map(_cell, msgspec.structs.astuple(entry)))
    return text.getvalue().rstrip("\n")


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
