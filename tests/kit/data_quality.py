"""A model whose traffic breaks in the ways that data quality tells of."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from shared.monitors import FeatureSpec
from shared.quality import QualitySpec
from tests.truth.streams import (
    Law,
    Rows,
    Stream,
    category,
    even_segments,
    levels,
    normal,
    number,
    segment_of,
)
from tests.truth.watching import Prepared, Watched, spec_of

ROWS, WARM = 8_000, 3_400
SEGMENTS = 4


def emails(share_wrong: float) -> Law:
    def texts(rng: np.random.Generator, rows: Rows) -> pa.Array:
        return levels((rng.random(rows.count) < share_wrong).astype(np.int64), ("a@example.org", "a at example"))

    return texts


def with_nulls(law: Law, share: float) -> Law:
    """Return a column some of whose values are missing."""

    def values(rng: np.random.Generator, rows: Rows) -> pa.Array:
        is_gone = pa.array(rng.random(rows.count) < share)
        return pc.if_else(is_gone, None, law(rng, rows))

    return values


def nulls_in_segment(place: int, share: float) -> Law:
    """Return a normal column that has few values in one segment."""

    def values(rng: np.random.Generator, rows: Rows) -> pa.Array:
        found = rng.normal(0.0, 1.0, rows.count)
        found[(segment_of(rows.numbers, SEGMENTS) == place) & (rng.random(rows.count) < share)] = np.nan
        return pa.array(found)

    return values


def whole(least: int) -> Law:
    """Return ages from the least on."""
    return number(lambda rng, rows: rng.integers(least, 80, rows.count).astype(np.float64))


STREAM = Stream(
    {
        "amount": normal(),
        "age": whole(18),
        "until": number(lambda rng, rows: 100.0 + rng.random(rows.count)),
        "colour": with_nulls(category(np.array([0.6, 0.3, 0.1])), 0.02),
        "email": emails(0.0),
    },
    {"shop": even_segments(SEGMENTS)},
    per_day=10_000,
)
FEATURES = {"email": FeatureSpec(format="email"), "amount": FeatureSpec(required=True)}
EXPECTED = QualitySpec(expect=["age >= 0", "age < until"])


@cache
def prepared(*, may_drift: bool = True) -> Prepared:
    """Return the model; `may_drift`: a change of colours matters."""
    features = FEATURES if may_drift else FEATURES | {"colour": FeatureSpec(gate=10.0)}
    spec = msgspec.structs.replace(spec_of(STREAM), features=features, quality=EXPECTED)
    return Prepared(spec, STREAM.reference(1, 24_000))


def broken(columns: dict[str, Law], rows: int = ROWS, *, may_drift: bool = True) -> Watched:
    """Return the watch of traffic of which some columns are other ones from row `WARM` on."""
    watched, rng = prepared(may_drift=may_drift).watch(), np.random.default_rng(2)
    watched.feed(STREAM, rng, WARM)
    watched.feed(STREAM.but(columns), rng, rows)
    return watched
