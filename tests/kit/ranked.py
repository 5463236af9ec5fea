"""A model that ranks: a reference of its lists with what they were worth, and traffic that gets worse."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from services.cli.publication import Publication, configured
from services.detector.baseline_build import build_baseline
from shared.durations import UNITS_MS
from shared.monitors import ModelSpec
from shared.ranking import RankingSpec
from shared.values import format_ts
from tests.kit.references import HOUR_MS

MODEL = "feed"
START_MS = 1_750_000_000_000
LISTED = 8
SPEC = ModelSpec(
    task="ranking",
    reference="feed.parquet",
    segments=["country"],
    label_horizon="60d",
    ranking=RankingSpec(k=(3, 5)),
)
_CATALOGUE = [f"item-{number}" for number in range(40)]


class Ranked(NamedTuple):
    """One request."""

    age: float
    country: str
    items: list[str]
    gains: dict[str, float]


def requests(rows: int, *, seed: int = 1, found: float = 0.8) -> list[Ranked]:
    """Return requests; `found` is the chance that a relevant item is on the list at all, mostly in front."""
    rng = np.random.default_rng(seed)
    told = []
    for _ in range(rows):
        items = rng.choice(_CATALOGUE, LISTED, replace=False).tolist()
        gains: dict[str, float] = {}
        for _ in range(int(rng.integers(0, 4))):
            place = int(min(rng.geometric(0.45) - 1, LISTED - 1))
            item = items[place] if rng.random() < found else f"elsewhere-{rng.integers(1_000)}"
            gains[item] = float(rng.integers(1, 4))
        told.append(Ranked(float(rng.normal()), str(rng.choice(["pt", "es"])), items, gains))
    return told


def reference(rows: int = 8_000, seed: int = 7) -> pa.Table:
    """Return a reference, a row an hour."""
    told = requests(rows, seed=seed)
    return pa.table(
        {
            "ts": pa.array(np.arange(rows) * HOUR_MS, pa.timestamp("ms", tz="UTC")),
            "age": [one.age for one in told],
            "seg_country": [one.country for one in told],
            "prediction": [one.items for one in told],
            "label": pa.array([[*one.gains.items()] for one in told], pa.map_(pa.string(), pa.float64())),
        }
    )


@cache
def publication() -> Publication:
    """Return the model with its baseline."""
    return configured(MODEL, SPEC, lambda name, spec: build_baseline(name, spec, reference()))


def events(told: list[Ranked], first: int = 0) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the prediction and the label of each request, an hour apart."""
    pairs = []
    for number, one in enumerate(told, first):
        named = {"request_id": f"q{number}", "model": MODEL, "ts": format_ts(START_MS + number * UNITS_MS["h"])}
        predicted = {
            "model_version": "v1",
            "features": {"age": one.age},
            "segments": {"country": one.country},
            "prediction": one.items,
        }
        pairs.append((named | predicted, named | {"label": one.gains}))
    return pairs
