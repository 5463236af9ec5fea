"""Columns that a cycle explains: unsteady against the whole reference, steady against its hours or its months."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from services.detector.baseline import Arming, Column, window_rows
from services.detector.column_build import per_cell
from services.detector.seasons.clock import SEASONS
from services.detector.seasons.learned import compared, scatter
from services.detector.seasons.mixture import mixtures
from services.detector.seasons.profile import Profile, SeasonBound
from services.detector.segments import Memberships
from services.detector.selftest import REFERENCE_WINDOWS, OwnWindows, is_identifier, rows_by_cell, too_little
from services.detector.signals.columns import Codes
from services.detector.structs import CodeArray, IntArray

CYCLES = 2  # that a reference must hold, so that nothing is one week's or one year's own accident


def bind_to_seasons(
    columns: Sequence[Column],
    codes: Sequence[Codes],
    memberships: Memberships,
    cell_rows: IntArray,
    ts: IntArray,
    arming: Arming,
) -> tuple[Arming, list[SeasonBound]]:
    """Return the arming with what cycles explain, and the profiles of those cells; `ts` are the rows', ascending."""
    phi, reason = arming.phi.copy(), arming.reason.copy()
    reasons = {why: number for number, why in enumerate(("", *arming.reasons))}
    bound: dict[tuple[int, int], SeasonBound] = {}
    for season in SEASONS if len(ts) > 1 else ():
        # Two weeks of hourly rows end an hour before the third.
        if (int(ts[-1]) - int(ts[0])) * len(ts) < CYCLES * season.length_ms * (len(ts) - 1):
            continue
        parts = season.parts_of(ts)
        for cell, rows in rows_by_cell(memberships, cell_rows):
            places = np.flatnonzero(arming.unsteady[:, cell] | arming.unsteady[:, 0]).tolist()
            needed = REFERENCE_WINDOWS * window_rows(cell)
            pools = season.pooled(np.bincount(parts[rows], minlength=season.parts), needed)
            for place in places if pools.any() else []:
                column = columns[place]
                if (place, cell) in bound or is_identifier(column):
                    continue
                found, profile = _own_windows(codes[place][rows], parts[rows], pools, window_rows(cell), column)
                if found.is_unsteady:
                    continue
                phi[place, cell] = found.phi
                reason[place, cell] = reasons.setdefault(too_little(column, cell), len(reasons))
                bound[place, cell] = SeasonBound(place, cell, season.cycle, profile)
    explained = msgspec.structs.replace(arming, phi=phi, reason=reason, reasons=list(reasons)[1:])
    return explained, list(bound.values())


def _own_windows(
    codes: Codes, parts: CodeArray, pools: IntArray, size: int, column: Column
) -> tuple[OwnWindows, Profile]:
    """Return what own windows say, each against the parts of the cycle that it saw of the rest."""

    def counted(rows: slice) -> CodeArray:
        pooled = pools[parts[rows]].astype(np.int32)[:, None]
        return per_cell(codes[rows], column.bins, pooled, int(pools.max()) + 1).astype(np.int32)

    whole = Profile.of_column(pools, counted(slice(None)))
    windows, references = [], []
    for start in range(0, len(codes) - size + 1, size):
        rows = slice(start, start + size)
        own = counted(rows)
        clock = np.bincount(parts[rows], minlength=len(pools))[None]
        windows.append(own.sum(axis=0))
        references.append(mixtures(Profile.of_column(pools, whole.counts - own), clock, slice(0, column.bins))[0])
    found = compared(np.array(windows, np.int64), np.array(references), ordered=column.is_numeric)
    return OwnWindows(*scatter(found, column.gate)), whole
