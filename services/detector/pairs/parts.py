"""Pairs of a baseline of parts: whatever an accepted change touches is of the new rows, the rest stays as it was."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from services.detector.pairs.reference import PairReferences, ReferenceJoint, ReferencePair


def with_columns(
    old: PairReferences | None, new: PairReferences | None, names: Collection[str]
) -> PairReferences | None:
    """Return `old` with those of `new` that these names touch: a column, or a pair itself.

    Both sides of a table come with it, so that it is counted by the intervals that it was built with.
    """
    if old is None or new is None:
        return old

    def touched(pair: ReferencePair | ReferenceJoint) -> bool:
        return not {pair.name, *pair.columns}.isdisjoint(names)

    return msgspec.structs.replace(
        old,
        correlations=[*(pair for pair in old.correlations if not touched(pair)), *filter(touched, new.correlations)],
        joint=[*(table for table in old.joint if not touched(table)), *filter(touched, new.joint)],
    )


def with_labels(old: PairReferences | None, new: PairReferences | None, factor: float) -> PairReferences | None:
    """Return `old` with those pairs of `new` that need labels; the reference of `old` is `factor` times as long."""
    if old is None or new is None:
        return old
    return msgspec.structs.replace(
        old,
        correlations=[*old.of_served(), *new.of_labels()],
        labels=round(new.labels * factor),
        scales=new.scales,
    )
