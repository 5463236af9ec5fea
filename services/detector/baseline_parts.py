"""A baseline of parts: what an accepted change replaces is of the new rows, the rest stays as it was.

Columns are sound to mix where both baselines count in the same cells: a column's bins, its test of itself and its
sequential detectors are of that column alone, and both were tested at the same pace. Shares of missing values are kept
as shares, because the two have not the same number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import msgspec
import numpy as np

from services.detector.baseline import (
    Arming,
    Baseline,
    Coded,
    Column,
    ErrorMonitor,
    ReferencePerformance,
    Sequential,
    Trailing,
)
from services.detector.pairs import parts as pairs
from services.detector.quality import parts as quality

Tested = TypeVar("Tested", Sequential, Coded)


def with_columns(old: Baseline, new: Baseline, names: Sequence[str]) -> Baseline:
    """Return `old` with these columns and pairs of `new`, which counts in its cells and has them in the same kind."""
    others = {column.name: place for place, column in enumerate(new.columns)}
    places = {place: others[column.name] for place, column in enumerate(old.columns) if column.name in names}
    columns = list(old.columns)
    for place, other in places.items():
        columns[place] = _rescaled(new.columns[other], old, new)
    return msgspec.structs.replace(
        old,
        rows_per_week=new.rows_per_week,
        untested=[new.untested[places[at]] if at in places else why for at, why in enumerate(old.untested)],
        season_bound=[
            *(bound for bound in old.season_bound if bound.column not in places),
            *(
                msgspec.structs.replace(bound, column=place)
                for place, other in places.items()
                for bound in new.season_bound
                if bound.column == other
            ),
        ],
        columns=columns,
        arming=_arming(old.arming, new.arming, places),
        days=_arming(old.days, new.days, places),
        trailing=_trailing(old.trailing, new.trailing, places),
        sequential=_of_columns(old.sequential, new.sequential, places),
        coded=_of_columns(old.coded, new.coded, places),
        pairs=pairs.with_columns(old.pairs, new.pairs, names),
        quality=quality.with_columns(old.quality, new.quality, places, names),
    )


def with_performance(old: Baseline, new: Baseline) -> Baseline:
    """Return `old` with the performance of `new`, which has one.

    Labels of new rows may still be on their way, so the rate at which they come is the higher of the two, and a
    monitor's threshold as well: a budget is kept when fewer come than reckoned, not when more do.
    """
    found = new.performance
    if found is None:
        raise ValueError(f"a baseline of {new.model} without labels has no performance to give")
    share = found.rows / max(new.rows, 1)
    before = old.performance
    if before is not None:
        share = max(share, before.rows / max(old.rows, 1))
        thresholds = {monitor.name: monitor.threshold for monitor in before.monitors}
        monitors = [
            msgspec.structs.replace(m, threshold=max(m.threshold, thresholds.get(m.name, 0.0))) for m in found.monitors
        ]
        found = msgspec.structs.replace(found, monitors=monitors)
    performance = _of_rows(found, share * old.rows / max(found.rows, 1))
    return msgspec.structs.replace(
        old,
        rows_per_week=new.rows_per_week,
        performance=performance,
        label_ages=new.label_ages,
        estimates=new.estimates,
        pairs=pairs.with_labels(old.pairs, new.pairs, old.rows / max(new.rows, 1)),
    )


def keeping_performance(old: Baseline, new: Baseline) -> Baseline:
    """Return `new` with the performance of `old`: a change of inputs that is accepted excuses no loss."""
    before = old.performance
    kept = None
    if before is not None:
        strata = [cut for cut in before.strata if not cut.is_of_segments or old.cells == new.cells]
        kept = msgspec.structs.replace(_of_rows(before, new.rows / max(old.rows, 1)), strata=strata)
    return msgspec.structs.replace(new, performance=kept, label_ages=old.label_ages, estimates=old.estimates)


def _rescaled(column: Column, old: Baseline, new: Baseline) -> Column:
    shares = column.missing / np.maximum(new.cell_rows, 1)
    return msgspec.structs.replace(column, missing=np.rint(shares * old.cell_rows).astype(np.int64))


def _trailing(old: Trailing | None, new: Trailing | None, places: dict[int, int]) -> Trailing | None:
    if old is None or new is None:
        return old
    return msgspec.structs.replace(old, arming=_arming(old.arming, new.arming, places))


def _arming(old: Arming, new: Arming, places: dict[int, int]) -> Arming:
    reasons = {why: number for number, why in enumerate(("", *old.reasons))}
    reason, phi, peak, unsteady = (array.copy() for array in (old.reason, old.phi, old.peak, old.unsteady))
    for place, other in places.items():
        for cell in range(reason.shape[1]):
            reason[place, cell] = reasons.setdefault(new.why_not(other, cell), len(reasons))
        phi[place], peak[place], unsteady[place] = new.phi[other], new.peak[other], new.unsteady[other]
    return Arming(reason=reason, reasons=list(reasons)[1:], phi=phi, peak=peak, unsteady=unsteady)


def _of_columns(old: list[Tested], new: list[Tested], places: dict[int, int]) -> list[Tested]:
    others = {found.column: found for found in new}
    return [
        msgspec.structs.replace(others[places[found.column]], column=found.column) if found.column in places else found
        for found in old
    ]


def _of_rows(performance: ReferencePerformance, factor: float) -> ReferencePerformance:
    """Return the performance as of a reference so many times as long: rates per week follow from shares of rows."""

    def scaled(monitor: ErrorMonitor) -> ErrorMonitor:
        return msgspec.structs.replace(monitor, rows=round(monitor.rows * factor))

    return msgspec.structs.replace(
        performance, rows=round(performance.rows * factor), monitors=[scaled(m) for m in performance.monitors]
    )
