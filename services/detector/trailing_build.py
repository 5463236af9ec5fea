"""The test of a trailing reference on the reference itself: own windows against the days before them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from services.detector.baseline import Arming, Column, Trailing, window_rows
from services.detector.column_build import per_cell
from services.detector.segments import Memberships
from services.detector.selftest import (
    REFERENCE_WINDOWS,
    UNSTEADY,
    OwnWindows,
    rows_by_cell,
    scatter,
    too_little,
)
from services.detector.signals.columns import Codes
from services.detector.statistics.verdict import pool
from services.detector.structs import IntArray
from shared.errors import ConfigurationError
from shared.reference import TrailingDays

MAX_BYTES = 64 << 20  # of the counts that a version of a model keeps; they are in every checkpoint


def arm_trailing(
    of: TrailingDays,
    columns: Sequence[Column],
    codes: Sequence[Codes],
    memberships: Memberships,
    cell_rows: IntArray,
    days: IntArray | None,
    frozen: Arming,
) -> Trailing:
    """Return which cells may page on windows that are compared with the days before them, and why the others may not.

    Where the reference is too short to tell, or its order says nothing, that is what the frozen comparison says.

    days: the day of each row of the reference, ascending; None where that is not known.
    """
    phi, peak, unsteady = frozen.phi.copy(), frozen.peak.copy(), frozen.unsteady.copy()
    tested = np.zeros(unsteady.shape, np.bool_)
    known = np.zeros(0, np.int64) if days is None else days
    for cell, rows in rows_by_cell(memberships, cell_rows) if known.size else []:
        for place, column in enumerate(columns):
            found = _own_windows(of, column, cell, codes[place][rows], known[rows])
            if found is not None:
                tested[place, cell] = True
                phi[place, cell], peak[place, cell], unsteady[place, cell] = found.phi, found.peak, found.is_unsteady
    reasons: dict[str, int] = {"": 0}
    reason = np.zeros(unsteady.shape, np.int32)
    for place, column in enumerate(columns):
        for cell in range(cell_rows.size):
            why = frozen.why_not(place, cell)
            if why.startswith(UNSTEADY) and (tested[place, cell] or tested[place, 0]):
                why = too_little(column, cell)
            if not why and tested[place, cell] and unsteady[place, cell]:
                why = f"{UNSTEADY}: its own windows differ by PSI up to {peak[place, cell]:.2g} from the days before"
            elif not why and tested[place, 0] and unsteady[place, 0]:
                why = f"{UNSTEADY} on all traffic"
            reason[place, cell] = reasons.setdefault(why, len(reasons))
    arming = Arming(reason=reason, reasons=list(reasons)[1:], phi=phi, peak=peak, unsteady=unsteady)
    return Trailing(of=of, arming=arming)


def kept_bytes(of: TrailingDays, columns: Sequence[Column]) -> int:
    """Return how many bytes of counts a version of the model keeps."""
    return of.span * 4 * sum(column.counts.size for column in columns)


def refuse_large(path: str, of: TrailingDays, columns: Sequence[Column]) -> None:
    """Refuse to keep more than a checkpoint should hold.

    Raises:
        ConfigurationError: naming the choice's path.
    """
    size = kept_bytes(of, columns)
    if size > MAX_BYTES:
        raise ConfigurationError(
            f"{path}.trailing",
            f"{of.span} days of counts take {size:,} bytes, at most {MAX_BYTES:,}: choose fewer days, columns or"
            " segments",
        )


def _own_windows(of: TrailingDays, column: Column, cell: int, codes: Codes, days: IntArray) -> OwnWindows | None:
    """Return what the cell's windows say against the days before them; None where fewer than two can be compared."""
    size, first = window_rows(cell), int(days[0])
    windows = codes.size // size
    groups = pool(column.counts[cell], size, ordered=column.is_numeric)
    bins = int(groups.max()) + 1 if groups.size else 0
    if bins < 2:
        return None
    pooled = np.where(codes < 0, -1, groups[codes]).astype(np.int32)
    by_day = per_cell(pooled, bins, (days - first).astype(np.int32)[:, None], int(days[-1]) - first + 1)
    until = np.vstack([np.zeros((1, bins), np.int64), np.cumsum(by_day, axis=0)])  # [day]: counts of all days before it
    day = days[size - 1 : windows * size : size] - first
    known = day - of.span >= 1  # the first day may be a part
    day = day[known]
    number = np.repeat(np.arange(windows, dtype=np.int32), size)[:, None]
    counts = per_cell(pooled[: windows * size], bins, number, windows)[known].astype(np.float64)
    before = (until[day - of.lag] - until[day - of.span]).astype(np.float64)
    enough = before.sum(axis=1) >= REFERENCE_WINDOWS * size
    return scatter(counts[enough], before[enough], column.gate) if int(enough.sum()) >= 2 else None
