"""A twin of a shipped set: reference and traffic pooled and permuted, so that nothing drifts but chance; clock kept."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from services.cli.backtest.lines import merged
from services.detector.adapters.reference_file import read_reference
from services.detector.baseline import schema
from services.detector.structs import IntArray
from shared.events.alert import Incident, IncidentKind
from shared.events.block import (
    FEATURE_PREFIX,
    LABEL,
    LABEL_TS,
    MAX_ROWS,
    PREDICTION,
    SCORE,
    SEGMENT_PREFIX,
    SERVED_ROW,
    SERVED_SEQ,
    SRC_OFFSET,
    SRC_PARTITION,
    SRC_TOPIC,
    TS,
)
from shared.values import class_text, parse_ts
from tests.kit.shipped import SETS, baseline, model_spec
from tests.truth.streams import levels
from tests.truth.watching import Prepared, Watched

LOSSES = {IncidentKind.PERFORMANCE_DEGRADATION, IncidentKind.CONCEPT_DRIFT}


def twin(name: str, seed: int) -> tuple[int, int]:
    """Return how many incidents of drift and of errors a twin opens."""
    pool, times, label_times = _pooled(name)
    reference_rows = pool.num_rows - len(times)
    order = np.random.default_rng([seed, 5]).permutation(pool.num_rows)
    permuted = pool.take(pa.array(order))
    clock = read_reference(SETS / name / "reference.parquet", name).column(TS)
    reference = permuted.slice(0, reference_rows).append_column(TS, clock)
    watched = Prepared(model_spec(name), reference, name).watch()
    _replay(watched, _batch(name, permuted.slice(reference_rows), times), label_times)
    losses = sum(is_of_errors(page) for page in watched.pages)
    return len(watched.pages) - losses, losses


def is_of_errors(page: Incident) -> bool:
    """Tell whether an incident is of errors; one that shares of segments explain is led by the mix of traffic."""
    found = set(page.kinds) - {IncidentKind.TRAFFIC_MIX}
    return bool(found) and found <= LOSSES


def _replay(watched: Watched, batch: pa.RecordBatch, label_times: IntArray) -> None:
    """Serve rows block by block; after each, label what has been labelled by the time of its last row."""
    times = batch.column(TS).to_numpy()
    arriving = np.argsort(label_times, kind="stable")
    blocks = np.zeros(batch.num_rows, np.int64)
    done = 0
    for start in range(0, batch.num_rows, MAX_ROWS):
        part = batch.slice(start, MAX_ROWS)
        blocks[start : start + MAX_ROWS] = watched.serve(part.drop_columns([LABEL]))
        is_last = start + MAX_ROWS >= batch.num_rows
        now = label_times.max() if is_last else times[start + part.num_rows - 1]
        due = int(np.searchsorted(label_times[arriving], now, side="right"))
        for first in range(done, due, MAX_ROWS):
            rows = arriving[first : min(first + MAX_ROWS, due)]
            watched.label(_labelled(batch.take(pa.array(rows)), label_times[rows], blocks[rows], rows % MAX_ROWS))
        done = due


def _labelled(batch: pa.RecordBatch, times: IntArray, blocks: IntArray, rows: IntArray) -> pa.RecordBatch:
    added = {LABEL_TS: times, SERVED_SEQ: blocks, SERVED_ROW: rows.astype(np.int32)}
    for name, values in added.items():
        batch = batch.append_column(name, pa.array(values))
    return batch


@cache
def _pooled(name: str) -> tuple[pa.Table, IntArray, IntArray]:
    """Return reference and traffic as one table without times, then the times of the traffic and of its labels."""
    reference = read_reference(SETS / name / "reference.parquet", name).drop_columns([TS, "request_id"])
    recorded = merged(SETS / name / "predictions.jsonl.zst", SETS / name / "ground_truth.jsonl.zst")
    labels = {event["request_id"]: event for event in (json.loads(line.value) for line in recorded if line.is_label)}
    events: list[dict[str, Any]] = [json.loads(line.value) for line in recorded if not line.is_label]
    events = [event | {LABEL: labels[event["request_id"]][LABEL]} for event in events if event["request_id"] in labels]
    served = pa.table({column: _values(events, column) for column in reference.column_names}).cast(reference.schema)
    times = np.array([parse_ts(event[TS]) for event in events])
    label_times = np.array([parse_ts(labels[event["request_id"]][TS]) for event in events])
    return pa.concat_tables([reference, served]), times, label_times


def _values(events: list[dict[str, Any]], column: str) -> pa.Array:
    """Return a column of the reference from events."""
    if column in (PREDICTION, LABEL):
        return pa.array([event[column] for event in events])
    group, name = ("features", column)
    if column.startswith("seg_"):
        group, name = "segments", column.removeprefix("seg_")
    elif column.startswith("score_"):
        group, name = "scores", column.removeprefix("score_")
    return pa.array([event[group].get(name) for event in events])


def _batch(name: str, table: pa.Table, times: IntArray) -> pa.RecordBatch:
    """Return rows of the pool as one served batch that also holds the labels."""
    spec, rows = model_spec(name), table.num_rows
    columns = {
        TS: pa.array(times),
        SRC_TOPIC: levels(np.zeros(rows, np.int64), ("predictions",)),
        SRC_PARTITION: pa.array(np.zeros(rows, np.int32)),
        SRC_OFFSET: pa.array(np.arange(rows)),
    }
    for feature, kind in schema(baseline(name)).features.items():
        columns[f"{FEATURE_PREFIX}{feature}"] = _column(table, feature, is_number=kind == "numeric")
    for dimension in spec.dimensions:
        columns[f"{SEGMENT_PREFIX}{dimension}"] = _column(table, f"seg_{dimension}", is_number=False)
    is_regression = spec.task == "regression"
    columns |= {column: _column(table, column, is_number=is_regression) for column in (PREDICTION, LABEL)}
    if not is_regression:
        columns[SCORE] = _column(table, f"score_{spec.positive}", is_number=True)
    return pa.RecordBatch.from_pydict(columns)


def _column(table: pa.Table, name: str, *, is_number: bool) -> pa.Array:
    column = table.column(name).combine_chunks()
    if is_number:
        return column.cast(pa.float64())
    texts = [None if value is None else class_text(value) for value in column.to_pylist()]
    return pa.array(texts, pa.string()).dictionary_encode()
