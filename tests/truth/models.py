"""The model of many columns that most experiments watch."""

from __future__ import annotations

from functools import cache

import numpy as np

from tests.truth.streams import Law, Stream, even, even_segments, lognormal, normal, zipf
from tests.truth.watching import Prepared, spec_of

SEGMENTS = 20
REFERENCE_DAYS = 2.1  # two whole cycles and a bit
PER_WEEK = 7_000_000.0  # rows that thresholds are made for: a million a day


def fifty_columns(segments: Law, per_day: float) -> Stream:
    """Return 50 features: 30 numbers, 5 categories each of 20 and 4 even levels, 5 flags, 5 Zipf of 50 levels."""
    columns: dict[str, Law] = {f"number-{i}": normal() if i % 2 else lognormal(8, 2) for i in range(30)}
    columns |= {f"twenty-{i}": even(20) for i in range(5)} | {f"four-{i}": even(4) for i in range(5)}
    columns |= {f"flag-{i}": even(2) for i in range(5)} | {f"zipf-{i}": zipf(50) for i in range(5)}
    return Stream(columns, {"segment": segments}, per_day)


DELAY_STREAM = fifty_columns(even_segments(SEGMENTS), per_day=100_000)


@cache
def prepared_for_delays() -> Prepared:
    """Return a baseline with the thresholds of a million rows a day; fewer are served, and nothing repeats in them."""
    reference = DELAY_STREAM.reference(1, round(REFERENCE_DAYS * DELAY_STREAM.per_day))
    return Prepared(spec_of(DELAY_STREAM, events_per_week=PER_WEEK, cycle="none"), reference)


def warm_up(rng: np.random.Generator) -> int:
    """Return how many rows precede a change, so that it falls anywhere in a window."""
    return 2_000 + int(rng.integers(1_000))
