"""Statistics of a closed window by the names that conditions use, from its report rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from services.detector.report import WindowRow
from shared.values import MISSING_LEVEL

Series = tuple[str, str]  # a column of the baseline, and the name of a cell
Readings = Mapping[Series, Mapping[str, float | None]]

_OUTSIDE = "out_of_range_rate"
_OUTSIDE_OF = "out_of_range:"  # in front of a column's name: the signal that counts what lies outside its range

# By the name of a condition's statistic: the field of a row that holds it, where that has another name.
_FIELDS = {"min": "minimum", "max": "maximum"}


def readings_of(rows: Iterable[WindowRow], statistics: Iterable[str]) -> Readings:
    """Return statistics of one closed window, of which `rows` are all; None where the window does not say."""
    wanted = frozenset(statistics)
    of_columns = sorted(wanted - {_OUTSIDE})
    found: dict[Series, dict[str, float | None]] = {}
    for row in rows:
        column = row.signal.removeprefix(_OUTSIDE_OF)
        if column != row.signal and _OUTSIDE in wanted:
            found.setdefault((column, row.segment), {})[_OUTSIDE] = _share(row, row.counts[1])
        else:
            found[row.signal, row.segment] = {name: _of_column(row, name) for name in of_columns}
    return found


def _of_column(row: WindowRow, statistic: str) -> float | None:
    if statistic in _COUNTED:
        return _COUNTED[statistic](row)
    value: float | None = getattr(row, _FIELDS.get(statistic, statistic))
    return value


def _missing(row: WindowRow) -> int:
    """Return the rows without a value; nulls of a category are a level where the reference has some."""
    return row.n_missing + (row.counts[row.bins.index(MISSING_LEVEL)] if MISSING_LEVEL in row.bins else 0)


def _rows(row: WindowRow) -> int:
    return row.window_end_row - row.window_start_row + 1


def _share(row: WindowRow, part: int) -> float:
    return part / _rows(row)


_COUNTED: dict[str, Callable[[WindowRow], float]] = {
    "missing_rate": lambda row: _share(row, _missing(row)),
    "new_category_rate": lambda row: _share(row, row.n_unseen),
    "count": lambda row: _rows(row) - _missing(row),
}
