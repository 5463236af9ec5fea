"""Seeded random streams on which a bank and its reference must say the same."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from services.detector.banks.detections import Detections
from services.detector.structs import FloatArray

STREAM_ROWS = 2_000
BLOCK = 100  # streams of one block of seeds

each_block = pytest.mark.parametrize("seeds", [range(at, at + BLOCK) for at in range(0, 1_000, BLOCK)], ids=str)


def _shifts(source: np.random.Generator, rows: int) -> FloatArray:
    values = source.normal(size=rows)
    values[source.integers(rows) :] += source.uniform(0.1, 3.0)
    values[source.integers(rows) :] -= source.uniform(0.1, 3.0)
    return values


def _scales(source: np.random.Generator, rows: int) -> FloatArray:
    values = source.normal(size=rows)
    values[source.integers(rows) :] *= math.pow(10.0, source.uniform(-2.0, 2.0))
    return (values + source.uniform(-5.0, 5.0)) * math.pow(10.0, source.uniform(-6.0, 6.0))


def _heavy_tails(source: np.random.Generator, rows: int) -> FloatArray:
    values = source.standard_t(source.uniform(0.8, 3.0), size=rows)
    values[source.integers(rows) :] += source.uniform(0.0, 5.0)
    return values


def _constants(source: np.random.Generator, rows: int) -> FloatArray:
    values = np.full(rows, source.choice([0.0, 0.1, 1.0, -3.7]))
    if source.random() < 0.5:
        values[source.integers(rows) :] = source.normal()
    return values


def _flags(source: np.random.Generator, rows: int) -> FloatArray:
    rates = np.full(rows, source.random() / 2)
    rates[source.integers(rows) :] = source.random()
    return (source.random(rows) < rates).astype(np.float64)


def _ranks(source: np.random.Generator, rows: int) -> FloatArray:
    values = source.random(rows)
    at = source.integers(rows)
    values[at:] = values[at:] ** source.uniform(0.5, 2.0)
    return values


def _ramps(source: np.random.Generator, rows: int) -> FloatArray:
    return source.normal(scale=0.3, size=rows) + np.linspace(0.0, source.uniform(-3.0, 3.0), rows)


_KINDS: tuple[Callable[[np.random.Generator, int], FloatArray], ...] = (
    _shifts,
    _scales,
    _heavy_tails,
    _constants,
    _flags,
    _ranks,
    _ramps,
)


def random_streams(seeds: Iterable[int], rows: int = STREAM_ROWS) -> FloatArray:
    """Return [rows, seeds]; a stream depends on its seed alone, and seeds take turns at the kinds."""
    return np.stack([_KINDS[seed % len(_KINDS)](np.random.default_rng([20, seed]), rows) for seed in seeds], axis=1)


def fired(found: Detections) -> set[tuple[int, int]]:
    """Return (row, series) of each detection of a bank."""
    return set(zip(found.row.tolist(), found.series.tolist(), strict=True))


def fired_by_river(detectors: Iterable[Any], values: FloatArray) -> set[tuple[int, int]]:
    """Return (row, series) of each detection of river's `detectors`, one per series of `values`."""
    found = set()
    for series, (detector, column) in enumerate(zip(detectors, values.T.tolist(), strict=True)):
        for row, value in enumerate(column):
            detector.update(value)
            if detector.drift_detected:
                found.add((row, series))
    return found
