"""The checks of a baseline of parts: those of columns that were accepted are of the new rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from services.detector.quality.reference import QualityReference, UsualLevels


def with_columns(
    old: QualityReference, new: QualityReference, places: Mapping[int, int], names: Collection[str]
) -> QualityReference:
    """Return `old` with what `new` knows of some columns: their places among the old ones, and among the new ones."""
    low, high = old.low.copy(), old.high.copy()
    for place, other in places.items():
        low[place], high[place] = new.low[other], new.high[other]
    kept = [place for place, check in enumerate(old.checks) if check.feature not in names]
    replaced = [place for place, check in enumerate(new.checks) if check.feature in names]
    return QualityReference(
        checks=[*(old.checks[place] for place in kept), *(new.checks[place] for place in replaced)],
        low=low,
        high=high,
        p0=np.concatenate([old.p0[kept], new.p0[replaced]]),
        usual=_usual(old.usual, new.usual, places),
    )


def _usual(old: UsualLevels, new: UsualLevels, places: Mapping[int, int]) -> UsualLevels:
    before = {other: place for place, other in places.items()}
    kept = ~np.isin(old.place, list(places))
    taken = np.isin(new.place, list(before))
    moved = np.array([before[other] for other in new.place[taken].tolist()], np.int64)
    place = np.concatenate([old.place[kept], moved])
    order = np.argsort(place, kind="stable")
    code = np.concatenate([old.code[kept], new.code[taken]])
    limit = np.concatenate([old.limit[:, kept], new.limit[:, taken]], axis=1)
    return UsualLevels(place=place[order], code=code[order], limit=limit[:, order].copy())
