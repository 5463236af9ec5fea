"""The shipped data sets and their oracle, as the detector sees them."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import zstandard

from services.detector.adapters.reference_file import read_reference
from services.detector.baseline import Baseline, schema
from services.detector.baseline_build import build_baseline
from shared.events.block import FEATURE_PREFIX, PREDICTION, SCORE, SEGMENT_PREFIX
from shared.monitors import ModelSpec, read_monitors
from shared.values import class_text

ROOT = Path(__file__).resolve().parents[2]
SETS = ROOT / "services" / "cli" / "data"
ORACLES = ROOT / "tests" / "data"


def model_spec(name: str) -> ModelSpec:
    """Return the configuration that is shipped with a set."""
    return read_monitors(SETS / name / "driftline.yaml").models[name]


@cache
def baseline(name: str) -> Baseline:
    """Return the baseline of a set."""
    return build_baseline(name, model_spec(name), read_reference(SETS / name / "reference.parquet", name))


@cache
def oracle(name: str) -> dict[str, Any]:
    """Return what scipy and scikit-learn say of a set, computed elsewhere."""
    content: dict[str, Any] = json.loads(_unpacked(ORACLES / name / "oracle.json.zst"))
    return content


@cache
def served(name: str) -> pa.RecordBatch:
    """Return all predictions of a set as one served batch; features and segments as the schema says."""
    events = [json.loads(line) for line in _unpacked(SETS / name / "predictions.jsonl.zst").splitlines()]
    kinds, spec = schema(baseline(name)).features, model_spec(name)
    columns: dict[str, pa.Array] = {}
    for feature, kind in kinds.items():
        values = [event["features"].get(feature) for event in events]
        columns[f"{FEATURE_PREFIX}{feature}"] = pa.array(values, pa.float64()) if kind == "numeric" else _words(values)
    for dimension in spec.dimensions:
        columns[f"{SEGMENT_PREFIX}{dimension}"] = _words([event["segments"].get(dimension) for event in events])
    answers = [event["prediction"] for event in events]
    if spec.task == "regression":
        columns[PREDICTION] = pa.array(answers, pa.float64())
    else:
        columns[PREDICTION] = _words(answers)
        columns[SCORE] = pa.array([event["scores"][spec.positive] for event in events], pa.float64())
    return pa.RecordBatch.from_pydict(columns)


def _words(values: list[Any]) -> pa.Array:
    return pa.array([None if v is None else class_text(v) for v in values], pa.string()).dictionary_encode()


def _unpacked(path: Path) -> bytes:
    with path.open("rb") as file:
        content: bytes = zstandard.ZstdDecompressor().stream_reader(file).read()
    return content
