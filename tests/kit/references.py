"""Small synthetic references and served blocks for tests of baselines and signals."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from services.detector.structs import FloatArray
from shared.monitors import ModelSpec

HOUR_MS = 3_600_000


def spec(**changes: object) -> ModelSpec:
    """Return a binary model's configuration."""
    given: dict[str, object] = {"task": "binary", "positive_class": 1, "reference": "reference.parquet"}
    given |= changes
    return ModelSpec(**given)  # type: ignore[arg-type]  # the keywords are the caller's


def hours(rows: int) -> pa.Array:
    """Return one time an hour."""
    return pa.array(np.arange(rows) * HOUR_MS, pa.timestamp("ms", tz="UTC"))


def loans(rows: int = 12_000, seed: int = 7, error_rate: float = 0.1) -> pa.Table:
    """Return a drift-free binary reference in time order."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, rows)
    wrong = rng.random(rows) < error_rate
    prediction = np.where(wrong, 1 - label, label)
    return pa.table(
        {
            "request_id": [f"r{i}" for i in range(rows)],
            "ts": hours(rows),
            "amount": rng.lognormal(8, 2, rows),
            "term": rng.choice([12, 24, 36, 48], rows, p=[0.4, 0.3, 0.2, 0.1]),
            "region": rng.choice(["north", "south", "west"], rows, p=[0.5, 0.3, 0.2]),
            "repaid_before": rng.random(rows) < 0.6,
            "prediction": prediction,
            "score_0": 1 - prediction * 0.8 - 0.1,
            "score_1": prediction * 0.8 + 0.1,
            "label": label,
            "seg_channel": rng.choice(["web", "branch"], rows),
        }
    )


def served(**columns: object) -> pa.RecordBatch:
    """Return a served block's batch: `f__amount` stands for `f:amount`, `s__channel` for `s:channel`."""
    return pa.RecordBatch.from_pydict({name.replace("__", ":"): column for name, column in columns.items()})


def words(*texts: str | None) -> pa.Array:
    """Return a dictionary column."""
    return pa.array(texts, pa.string()).dictionary_encode()


def finite(values: FloatArray) -> bool:
    """Tell whether every value is finite or NaN."""
    return not bool(np.isinf(values).any())
