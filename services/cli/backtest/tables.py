"""The tables of a backtest: `windows`, `performance`, `fairness` and `serving`, each `.parquet`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from services.detector.performance.metrics.value import Value
from services.detector.report import CohortRow, FairnessRow, WindowRow
from services.detector.serving.period import ServingRow
from shared.events.alert import Incident
from shared.fairness import METRICS as FAIRNESS_METRICS

_WINDOW_TYPES = {
    **dict.fromkeys(("model", "model_version", "signal", "segment"), pa.string()),
    **dict.fromkeys(("window_start_row", "window_end_row", "n", "n_missing", "n_unseen"), pa.int64()),
    "bins": pa.list_(pa.string()),
    **dict.fromkeys(("counts", "reference_counts"), pa.list_(pa.int64())),
    **dict.fromkeys(("psi", "psi_floor", "js_distance_base2", "hellinger", "chi2_stat", "linf"), pa.float64()),
    **dict.fromkeys(("ks_stat", "wasserstein_norm", "verdict_psi", "verdict_psi_debiased"), pa.float64()),
    "verdict_df": pa.int64(),
    **dict.fromkeys(("p_value", "noise_floor"), pa.float64()),
    **dict.fromkeys(("psi_debiased", "chi2_pvalue", "cramers_v", "ks_pvalue"), pa.float64()),
    **dict.fromkeys(("mean", "sd", "minimum", "maximum"), pa.float64()),
    **dict.fromkeys(("q01", "q05", "q25", "median", "q75", "q95", "q99"), pa.float64()),
    **dict.fromkeys(("outlier_rate", "compliance_rate"), pa.float64()),
    **dict.fromkeys(("pearson", "spearman", "pearson_delta", "spearman_delta"), pa.float64()),
    "alerted": pa.bool_(),
}
_COHORT_TYPES = {
    **dict.fromkeys(("model", "model_version", "segment"), pa.string()),
    **dict.fromkeys(("cohort_start_row", "cohort_end_row", "n_predicted", "n_labelled", "n_late"), pa.int64()),
    "coverage": pa.float64(),
    "state": pa.string(),
    **dict.fromkeys(("label_delay_p50", "label_delay_p95"), pa.float64()),
    **dict.fromkeys(("estimate_warning", "estimate_unreliable"), pa.bool_()),
}

_GROUP_COUNTS = ("first_row", "last_row", "tn", "fp", "fn", "tp")
_FAIRNESS_TYPES = {
    **dict.fromkeys(("model", "model_version", "dimension"), pa.string()),
    "served_row": pa.int64(),
    "groups": pa.list_(pa.string()),
    **dict.fromkeys(_GROUP_COUNTS, pa.list_(pa.int64())),
    **{f"{name}{end}": pa.float64() for end in ("", "_low", "_high") for name in FAIRNESS_METRICS},
}

_SERVING_TYPES = {
    **dict.fromkeys(("model", "model_version", "start"), pa.string()),
    **dict.fromkeys(("hours", "n", "n_failed", "n_latencies"), pa.int64()),
    **dict.fromkeys(("error_rate", "rows_per_hour"), pa.float64()),
    **dict.fromkeys(("latency_p50_ms", "latency_p95_ms", "latency_p99_ms"), pa.float64()),
}
_NOTES = pa.map_(pa.string(), pa.string())  # metric to why it has no value, or what the value leaves out
_NOT_OF_THIS_MODEL = Value(None)

Series = tuple[str, str, str, str]  # model, model version, signal, segment


def write_windows(path: Path, rows: Sequence[WindowRow], incidents: Iterable[Incident]) -> None:
    """Write one row per window and series; `alerted` where an incident that names the series was detected in it."""
    named = _detections(incidents)
    columns: dict[str, list[object]] = {
        name: [getattr(row, name) for row in rows] for name in _WINDOW_TYPES if name != "alerted"
    }
    columns["alerted"] = [
        any(
            row.first_served_row <= detected <= row.last_served_row
            for detected in named.get((row.model, row.model_version, row.signal, row.segment), ())
        )
        for row in rows
    ]
    pq.write_table(pa.table(columns, schema=pa.schema(list(_WINDOW_TYPES.items()))), path)


def _detections(incidents: Iterable[Incident]) -> dict[Series, set[int]]:
    found: dict[Series, set[int]] = {}
    for incident in incidents:
        for culprit in (*incident.culprits, *incident.inside_segments):
            series = (incident.model, incident.model_version, culprit.feature, culprit.segment)
            found.setdefault(series, set()).add(incident.detected.row)
    return found


def write_cohorts(path: Path, rows: Sequence[CohortRow], late: Mapping[tuple[str, str, str, int], int]) -> None:
    """Write one row per cohort, each metric with the ends of its interval where it has one.

    late: labels beyond the horizon by model, version, segment and first row.
    """
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    columns: dict[str, list[object]] = {
        name: [getattr(row, name) for row in rows] for name in _COHORT_TYPES if name != "n_late"
    }
    columns["n_late"] = [late.get((row.model, row.model_version, row.segment, row.cohort_start_row), 0) for row in rows]
    values = {name: [row.metrics.get(name, _NOT_OF_THIS_MODEL) for row in rows] for name in metrics}
    ranged = [name for name in metrics if any(value.low is not None for value in values[name])]
    columns |= {name: [value.value for value in values[name]] for name in metrics}
    columns |= {f"{name}_low": [value.low for value in values[name]] for name in ranged}
    columns |= {f"{name}_high": [value.high for value in values[name]] for name in ranged}
    columns["notes"] = [{name: value.note for name, value in row.metrics.items() if value.note} for row in rows]
    numbers = [*metrics, *(f"{name}_{end}" for end in ("low", "high") for name in ranged)]
    types = [*_COHORT_TYPES.items(), *((name, pa.float64()) for name in numbers), ("notes", _NOTES)]
    schema = pa.schema(types)
    pq.write_table(pa.table(columns, schema=schema), path)


def write_fairness(path: Path, rows: Sequence[FairnessRow]) -> None:
    """Write one row per final cohort of a protected dimension's groups: their counts, and every metric."""
    columns: dict[str, list[object]] = {
        name: [getattr(row, name) for row in rows] for name in ("model", "model_version", "dimension", "served_row")
    }
    columns["groups"] = [list(row.groups) for row in rows]
    columns |= {name: [[getattr(one, name) for one in row.groups.values()] for row in rows] for name in _GROUP_COUNTS}
    for end, of in (("", "value"), ("_low", "low"), ("_high", "high")):
        columns |= {f"{name}{end}": [getattr(row.metrics[name], of) for row in rows] for name in FAIRNESS_METRICS}
    columns["notes"] = [{name: value.note for name, value in row.metrics.items() if value.note} for row in rows]
    pq.write_table(pa.table(columns, schema=pa.schema([*_FAIRNESS_TYPES.items(), ("notes", _NOTES)])), path)


def write_serving(path: Path, rows: Sequence[ServingRow]) -> None:
    """Write one row per period of a model's own service."""
    columns = {name: [getattr(row, name) for row in rows] for name in _SERVING_TYPES}
    pq.write_table(pa.table(columns, schema=pa.schema(list(_SERVING_TYPES.items()))), path)
