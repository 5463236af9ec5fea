"""Synthetic traffic: laws of columns, drawn in whole numpy blocks from one seeded generator.

A law draws a column for consecutive rows of which it knows number and time, so that it can change, swing or creep.
Which segment a row is in follows from the row's number alone: a law may then move in one segment only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from services.detector.structs import FloatArray, IntArray
from shared.events.block import (
    FEATURE_PREFIX,
    MAX_ROWS,
    PREDICTION,
    SEGMENT_PREFIX,
    SRC_OFFSET,
    SRC_PARTITION,
    SRC_TOPIC,
    TS,
)

DAY_MS = 86_400_000
START_MS = 1_704_067_200_000  # of the traffic; its reference ends here
DRAWN_AT_ONCE = 20_000  # rows


@dataclass(frozen=True, slots=True)
class Rows:
    """Consecutive rows of a stream: which, and when."""

    numbers: IntArray  # from 0 at the start of the traffic; those of a reference are negative
    ts: IntArray  # ms

    @property
    def count(self) -> int:
        return len(self.numbers)


Law = Callable[[np.random.Generator, Rows], pa.Array]
Values = Callable[[np.random.Generator, Rows], FloatArray]


@dataclass(frozen=True)
class Stream:
    """What a model is served: features (and, if it is named so, its prediction), in cells, evenly spaced in time."""

    columns: Mapping[str, Law]
    segments: Mapping[str, Law]
    per_day: float

    def but(self, columns: Mapping[str, Law]) -> Stream:
        """Return the stream with other laws for some of its columns."""
        return replace(self, columns={**self.columns, **columns})

    def reference(self, seed: int, rows: int) -> pa.Table:
        """Return a reference of the stream's laws that ends where its traffic begins."""
        rng, wanted = np.random.default_rng([seed, 1]), self._rows(-rows, rows)
        drawn = {TS: pa.array(wanted.ts, pa.timestamp("ms", tz="UTC"))}
        drawn |= {name: law(rng, wanted) for name, law in self.columns.items()}
        return pa.table(drawn | {f"seg_{name}": law(rng, wanted) for name, law in self.segments.items()})

    def batches(
        self, rng: np.random.Generator, first: int, count: int, cut: int = MAX_ROWS
    ) -> Iterator[pa.RecordBatch]:
        """Yield `count` rows from row `first` on as batches of served blocks of at most `cut` rows."""
        for start in range(first, first + count, DRAWN_AT_ONCE):
            batch = self._batch(rng, start, min(DRAWN_AT_ONCE, first + count - start))
            for offset in range(0, batch.num_rows, cut):
                yield batch.slice(offset, cut)

    def _batch(self, rng: np.random.Generator, first: int, count: int) -> pa.RecordBatch:
        wanted = self._rows(first, count)
        drawn = {
            TS: pa.array(wanted.ts),
            SRC_TOPIC: levels(np.zeros(count, np.int64), ("predictions",)),
            SRC_PARTITION: pa.array(np.zeros(count, np.int32)),
            SRC_OFFSET: pa.array(wanted.numbers),
            PREDICTION: levels(np.zeros(count, np.int64), ("0",)),
        }
        drawn |= {_source(name): law(rng, wanted) for name, law in self.columns.items()}
        drawn |= {f"{SEGMENT_PREFIX}{name}": law(rng, wanted) for name, law in self.segments.items()}
        return pa.RecordBatch.from_pydict(drawn)

    def _rows(self, first: int, count: int) -> Rows:
        numbers = np.arange(first, first + count)
        return Rows(numbers, START_MS + np.floor(numbers * (DAY_MS / self.per_day)).astype(np.int64))


def _source(name: str) -> str:
    return name if name == PREDICTION else f"{FEATURE_PREFIX}{name}"


def number(values: Values) -> Law:
    """Return a numeric column."""
    return lambda rng, rows: pa.array(values(rng, rows))


def normal(mean: float = 0.0, sd: float = 1.0) -> Law:
    """Return a normal column."""
    return number(lambda rng, rows: rng.normal(mean, sd, rows.count))


def lognormal(mean: float, sd: float) -> Law:
    """Return a column of amounts."""
    return number(lambda rng, rows: rng.lognormal(mean, sd, rows.count))


def category(shares: FloatArray) -> Law:
    """Return a column of as many levels as there are shares."""
    bounds, names = np.cumsum(shares / np.sum(shares))[:-1], _names(len(shares))
    return lambda rng, rows: levels(np.searchsorted(bounds, rng.random(rows.count), side="right"), names)


def even(count: int) -> Law:
    """Return a column of equally frequent levels."""
    return category(np.full(count, 1.0 / count))


def zipf(count: int, exponent: float = 1.0) -> Law:
    """Return a column of levels whose shares fall as a power of their rank."""
    return category(_zipf_shares(count, exponent))


def even_segments(count: int) -> Law:
    """Return a dimension of equally frequent values; `segment_of` tells them as well."""
    return lambda _, rows: levels(segment_of(rows.numbers, count), _names(count))


def segment_of(numbers: IntArray, count: int) -> IntArray:
    """Return which of `count` values of `even_segments` rows have: a hash of their numbers (splitmix64's)."""
    mixed = numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed ^ (mixed >> np.uint64(31))) % np.uint64(count)).astype(np.int64)


def levels(codes: IntArray, names: tuple[str, ...]) -> pa.Array:
    """Return codes as a dictionary column."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(names))


def _zipf_shares(count: int, exponent: float) -> FloatArray:
    powers = np.power(np.arange(1.0, count + 1.0), -exponent)
    shares: FloatArray = powers / powers.sum()
    return shares


def _names(count: int) -> tuple[str, ...]:
    return tuple(f"level-{place:02d}" for place in range(count))
