"""The model that benchmarks watch: a binary one with 20 features and two segment dimensions, and its events.

A prediction takes 728 bytes of JSON, which is what one with 20 features typically takes.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import pyarrow as pa

from services.cli.publication import Publication
from services.detector.baseline_build import build_baseline
from shared.events.block import FEATURE_PREFIX, PREDICTION, SCORE, SEGMENT_PREFIX
from shared.identity import content_hash
from shared.monitors import ModelSpec
from shared.values import format_ts

MODEL = "car_loan"
_SUMS = ("income", "debt", "price", "rate", "tenure")
NUMERIC = (
    *(f"{name}_{whose}" for name in _SUMS for whose in ("applicant", "household")),
    "age_of_driver",
    "age_of_car",
    "mileage",
    "instalments",
)
CATEGORICAL = {
    "salary_range": 4,
    "repaid_before": 2,
    "region": 8,
    "occupation": 12,
    "car_brand": 30,
    "sales_channel": 3,
}
SPEC = ModelSpec(
    task="binary",
    reference="reference.parquet",
    positive_class=1.0,
    segments=["salary_range", "repaid_before", ["salary_range", "repaid_before"]],
    label_horizon="90d",
)
EVENT_BYTES = 728
REFERENCE_ROWS = 20_000
START_MS = 1_767_225_600_000
STEP_MS = 50  # of stream time from one prediction to the next


def publication(spec: ModelSpec = SPEC, table: pa.Table | None = None) -> Publication:
    """Return the model's definition with the baseline of a reference, which is drawn like its events."""
    return Publication.of(MODEL, spec, build_baseline(MODEL, spec, reference() if table is None else table))


def reference(rows: int = REFERENCE_ROWS) -> pa.Table:
    """Return `rows` of the past: features, prediction, score and label."""
    return _drawn(rows, seed=0)


def served(rows: int) -> pa.Table:
    """Return the rows of the first `rows` predictions as a table: what `predictions` tells one by one."""
    return _drawn(rows, seed=1)


def predictions(count: int) -> Iterator[bytes]:
    """Yield `count` predictions of EVENT_BYTES each, the same in every call."""
    for i, row in enumerate(_rows(count)):
        event = {
            "request_id": "",
            "model": MODEL,
            "model_version": "v1",
            "ts": format_ts(START_MS + i * STEP_MS),
            "features": {name: row[name] for name in (*NUMERIC, *CATEGORICAL)},
            "prediction": row["prediction"],
            "scores": {"1": row["score_1"]},
            "latency_ms": 12.5,
        }
        missing = EVENT_BYTES - len(msgspec.json.encode(event))
        yield msgspec.json.encode({**event, "request_id": _request_id(i, missing)})


def shifted(count: int, model_version: str) -> Iterator[tuple[bytes, bytes]]:
    """Yield request id and event of `count` predictions of a version whose amounts are all three times as large."""
    for payload in predictions(count):
        event = msgspec.json.decode(payload)
        moved = {name: 3 * event["features"][name] for name in NUMERIC}
        request_id = f"{model_version}-{event['request_id']}"
        event |= {
            "request_id": request_id,
            "model_version": model_version,
            "features": event["features"] | moved,
        }
        yield request_id.encode(), msgspec.json.encode(event)


def decoded(count: int, spec: ModelSpec = SPEC) -> Iterator[dict[str, float | str]]:
    """Yield the first `count` predictions by the names that columns have in blocks."""
    for row in _rows(count):
        yield {
            **{f"{FEATURE_PREFIX}{name}": row[name] for name in (*NUMERIC, *CATEGORICAL)},
            **{f"{SEGMENT_PREFIX}{name}": row[name] for name in spec.dimensions},
            PREDICTION: str(row["prediction"]),
            SCORE: row["score_1"],
        }


def labels(count: int) -> Iterator[bytes]:
    """Yield the labels of the first `count` predictions, a day later."""
    for (i, row), prediction in zip(enumerate(_rows(count)), predictions(count), strict=True):
        request_id = msgspec.json.decode(prediction)["request_id"]
        ts = format_ts(START_MS + 86_400_000 + i * STEP_MS)
        yield msgspec.json.encode({"request_id": request_id, "model": MODEL, "ts": ts, "label": row["label"]})


def _request_id(i: int, length: int) -> str:
    return content_hash(b"%d" % i)[:8] + f"{i:0{length - 8}d}"


def _rows(count: int) -> Iterator[dict[str, float | str]]:
    yield from served(count).drop_columns("ts").to_pylist()


def _drawn(count: int, seed: int) -> pa.Table:
    """Return rows in the form of a reference; scores are calibrated."""
    draw = np.random.default_rng(seed)
    score = draw.beta(2, 5, count).round(4)
    numbers = {name: draw.lognormal(3 + place % 5, 0.5, count).round(4) for place, name in enumerate(NUMERIC)}
    texts = {
        name: np.char.add(f"{name}_", (draw.beta(1, 2, count) * levels).astype(int).astype(str)).tolist()
        for name, levels in CATEGORICAL.items()
    }
    return pa.table(
        {
            "ts": pa.array(START_MS + np.arange(count) * STEP_MS, pa.timestamp("ms", tz="UTC")),
            **numbers,
            **texts,
            "prediction": (score > 0.5).astype(int),
            "score_1": score,
            "label": (draw.random(count) < score).astype(int),
        }
    )
