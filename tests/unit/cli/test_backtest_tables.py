"""The tables of a backtest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq

from services.cli.backtest.tables import write_cohorts, write_windows
from services.detector.performance.metrics.value import Value, undefined
from services.detector.report import CohortRow, ListSink, WindowRow
from shared.events.alert import Incident
from tests.kit.alerts import culprit, incident, place
from tests.kit.traffic import START_MS, Log, fold_of, folded, rows, watch_of

COHORT = CohortRow(
    model="m",
    model_version="v1",
    segment="all",
    cohort_start_row=0,
    cohort_end_row=999,
    n_predicted=1_000,
    n_labelled=500,
    coverage=0.5,
    state="provisional",
    label_delay_p50=3_600.0,
    metrics={"accuracy": Value(0.9, 0.87, 0.92)},
)


def windows() -> list[WindowRow]:
    """Return the windows of three thousand rows."""
    log = Log(rows(3_000))
    log.serve(0, 3_000)
    sink = ListSink()
    folded(fold_of(sink=sink), log.records)
    return sink.windows


def table(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found


def alarm(*, row: int, version: str = "v1", model: str = "loans", segment: str = "all") -> Incident:
    """Return an incident of `amount` that was detected at a row."""
    data = incident(model=model, culprits=[culprit("amount", segment)])
    return msgspec.structs.replace(data, model_version=version, detected=place(row))


def alerted(path: Path, *incidents: Incident) -> list[tuple[str, str, int]]:
    write_windows(path, windows(), incidents)
    return [(row["signal"], row["segment"], row["window_start_row"]) for row in table(path) if row["alerted"]]


def test_a_window_is_written_as_it_was_closed(tmp_path: Path) -> None:
    closed = windows()
    write_windows(tmp_path / "windows.parquet", closed, [])

    written = table(tmp_path / "windows.parquet")
    kept = set(written[0]) - {"alerted"}
    assert written == [
        {name: value for name, value in msgspec.structs.asdict(row).items() if name in kept} | {"alerted": False}
        for row in closed
    ]
    assert set(msgspec.structs.asdict(closed[0])) - kept == {"first_served_row", "last_served_row"}


def test_the_window_in_which_a_series_was_detected_is_marked(tmp_path: Path) -> None:
    path = tmp_path / "windows.parquet"

    assert alerted(path, alarm(row=1_000)) == [("amount", "all", 1_000)]
    assert alerted(path, alarm(row=1_999), alarm(row=0)) == [("amount", "all", 0), ("amount", "all", 1_000)]


def test_a_segment_of_an_incident_is_marked_in_its_own_windows(tmp_path: Path) -> None:
    path = tmp_path / "windows.parquet"
    found = msgspec.structs.replace(alarm(row=500), culprits=[], inside_segments=[culprit("amount", "channel=web")])

    assert alerted(path, found) == [("amount", "channel=web", 0)]


def test_incidents_of_others_and_beyond_all_windows_mark_nothing(tmp_path: Path) -> None:
    path = tmp_path / "windows.parquet"

    assert alerted(path, alarm(row=500, version="v2"), alarm(row=500, model="cars"), alarm(row=3_000)) == []


def test_a_cohort_is_written_with_its_metrics_and_late_labels(tmp_path: Path) -> None:
    path = tmp_path / "performance.parquet"
    second = msgspec.structs.replace(COHORT, cohort_start_row=1_000, cohort_end_row=1_999, state="final")
    write_cohorts(path, [COHORT, second], {("m", "v1", "all", 1_000): 7, ("m", "v1", "side=a", 0): 3})

    first, last = table(path)
    assert first == {
        "model": "m",
        "model_version": "v1",
        "segment": "all",
        "cohort_start_row": 0,
        "cohort_end_row": 999,
        "n_predicted": 1_000,
        "n_labelled": 500,
        "n_late": 0,
        "coverage": 0.5,
        "state": "provisional",
        "label_delay_p50": 3_600.0,
        "label_delay_p95": None,
        "estimate_warning": None,
        "estimate_unreliable": None,
        "accuracy": 0.9,
        "accuracy_low": 0.87,
        "accuracy_high": 0.92,
        "notes": [],
    }
    assert (last["n_late"], last["state"]) == (7, "final")


def test_a_metric_that_a_cohort_does_not_have_is_null(tmp_path: Path) -> None:
    path = tmp_path / "performance.parquet"
    other = msgspec.structs.replace(COHORT, model="n", metrics={"mae": Value(2.0), "accuracy": undefined("no labels")})
    write_cohorts(path, [COHORT, other], {})

    assert [(row["accuracy"], row["mae"]) for row in table(path)] == [(0.9, None), (None, 2.0)]
    assert [(row["accuracy_low"], row["accuracy_high"]) for row in table(path)] == [(0.87, 0.92), (None, None)]
    assert [row["notes"] for row in table(path)] == [[], [("accuracy", "no labels")]]


def test_tables_without_rows_have_their_columns(tmp_path: Path) -> None:
    write_windows(tmp_path / "windows.parquet", [], [])
    write_cohorts(tmp_path / "performance.parquet", [], {})

    assert pq.read_schema(tmp_path / "windows.parquet").names[:4] == ["model", "model_version", "signal", "segment"]
    assert "n_late" in pq.read_schema(tmp_path / "performance.parquet").names
    assert table(tmp_path / "windows.parquet") == table(tmp_path / "performance.parquet") == []


def test_cohorts_of_a_fold_are_written_with_what_their_labels_say(tmp_path: Path) -> None:
    log = Log(rows(2_000))
    log.serve(0, 2_000)
    log.label(0, 1_000)
    fold = fold_of()
    folded(fold, log.records)
    write_cohorts(tmp_path / "performance.parquet", watch_of(fold).cohort_rows(START_MS), {})

    labelled, unlabelled = (row for row in table(tmp_path / "performance.parquet") if row["segment"] == "all")
    right = log.table.slice(0, 1_000)
    assert labelled["accuracy"] == sum(
        a == b for a, b in zip(right["label"].to_pylist(), right["prediction"].to_pylist(), strict=True)
    ) / len(right)
    assert (unlabelled["n_labelled"], unlabelled["accuracy"]) == (0, None)
