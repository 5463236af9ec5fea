"""A reference of rankings: lists and gains as people keep them, brought to the columns that rows of the log have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pyarrow as pa

from shared.errors import ConfigurationError, Malformed
from shared.events.block import ITEMS, LABEL, PREDICTION
from shared.events.ranking import item_texts, pack_gains, pack_items
from shared.unreadable import UNREADABLE


def with_rankings(path: str, table: pa.Table) -> pa.Table:
    """Return a table whose `prediction` is the text of each first item, with the whole list and the gains as bytes.

    Lists are Arrow's, or JSON in a text; gains are a map, a struct, a list of items that are worth 1, or JSON of these.
    A table from the log is as it should be.

    Raises:
        ConfigurationError: a row holds neither; names the column and the row, from 0.
    """
    if ITEMS in table.column_names:
        return table
    if PREDICTION in table.column_names:
        texts = _each(path, table, PREDICTION, lambda value: item_texts(value, PREDICTION))
        firsts = [items[0] if items else None for items in texts]
        lists = [None if items is None else pack_items(items) for items in texts]
        place = table.column_names.index(PREDICTION)
        table = table.set_column(place, PREDICTION, pa.array(firsts, pa.string()).dictionary_encode())
        table = table.append_column(ITEMS, pa.array(lists, pa.binary()))
    if LABEL in table.column_names:
        gains = _each(path, table, LABEL, pack_gains)
        table = table.set_column(table.column_names.index(LABEL), LABEL, pa.array(gains, pa.binary()))
    return table


def _each(path: str, table: pa.Table, name: str, read: Callable[[Any], Any]) -> list[Any]:
    """Return what each row of a column says; None where it is null."""
    column = table.column(name)
    kind, found = column.type, []
    for row, value in enumerate(column.to_pylist()):
        try:
            found.append(None if value is None else read(_plain(value, kind)))
        except (Malformed, *UNREADABLE) as exc:
            why = exc.detail if isinstance(exc, Malformed) else "neither a list nor JSON"
            raise ConfigurationError(path, f"column {name!r}, row {row}: {why}") from exc
    return found


def _plain(value: Any, kind: pa.DataType) -> Any:
    """Return a list, or a mapping of items to gains."""
    if isinstance(value, str):
        return msgspec.json.decode(value)
    if pa.types.is_map(kind):
        return dict(value)
    if pa.types.is_struct(kind):  # every row has the fields of all
        return {item: gain for item, gain in value.items() if gain is not None}
    return value
