"""What is measured of a model is carried to every place where people look: files, Prometheus, the topic, the page."""

from __future__ import annotations

from functools import cache
from html import unescape
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.cli.backtest.page import page
from services.cli.backtest.summary import Summary, summarise
from services.cli.backtest.tables import write_cohorts, write_fairness, write_serving, write_windows
from services.detector import account
from services.detector.challengers.measures import challenger_measures
from services.detector.estimates.measures import estimate_measures
from services.detector.fairness.measures import fairness_measures
from services.detector.partition import PartitionFold
from services.detector.report import ListSink
from services.detector.serving.measures import service_measures
from shared.challengers import ChallengersSpec
from shared.cost import CostSpec
from shared.fairness import FairnessSpec
from shared.log import Outgoing, Record
from tests.kit.references import HOUR_MS
from tests.kit.traffic import SPEC, TOPICS, Log, fold_of, fold_options, folded, published_as, rows

ROWS = 4_000
CHOSEN = msgspec.structs.replace(
    SPEC,
    label_horizon="10d",
    cost=CostSpec(false_negative=40.0, false_positive=2.0),
    fairness=FairnessSpec(protected=["channel"]),
    challengers=ChallengersSpec(champion="v1", versions=["v2"]),
)


class Carried(NamedTuple):
    """Where one thing is found: a file's column, a metric with a label, the end of a topic's key, words of the page."""

    file: tuple[str, str]
    prometheus: tuple[str, str]
    topic: tuple[str, str]
    page: str


COHORT, ALERTS = "performance/all", "alerts"
PLACES = {
    "metrics": Carried(
        ("performance", "accuracy_low"), ("performance", "accuracy"), (COHORT, '"accuracy"'), "accuracy"
    ),
    "cost": Carried(("performance", "cost_high"), ("performance", "cost"), (COHORT, '"cost"'), "cost"),
    "selection": Carried(
        ("performance", "accuracy_ipw"), ("performance", "accuracy_ipw"), (COHORT, '"accuracy_ipw"'), "accuracy_ipw"
    ),
    "estimates": Carried(
        ("performance", "estimated_accuracy"),
        ("estimated_performance", "accuracy"),
        ("estimate/all", '"estimated_accuracy"'),
        "estimated_accuracy",
    ),
    "label delays": Carried(
        ("performance", "label_delay_p95"), ("label_delay_seconds", "0.95"), (COHORT, "label_delay_p95"), ""
    ),
    "fairness": Carried(
        ("fairness", "demographic_parity_ratio_low"),
        ("fairness", "demographic_parity_ratio"),
        ("fairness/channel", "demographic_parity_ratio"),
        "demographic_parity_ratio(channel)",
    ),
    "latency": Carried(
        ("serving", "latency_p95_ms"),
        ("service_latency_seconds", "0.95"),
        ("serving", "latency_p95_ms"),
        "latency_p95_ms",
    ),
    "errors of the service": Carried(
        ("serving", "error_rate"), ("service_error_ratio", "v1"), ("serving", "error_rate"), "error_rate"
    ),
    "challengers": Carried(
        ("summary", "comparisons"),
        ("challenger_verdict", "v2"),
        (ALERTS, '"challenger_won"'),
        "Beside the version that serves",
    ),
    "quality": Carried(("windows", "n_missing"), ("open_incidents", "data_quality"), ("amount/all", "n_missing"), ""),
    "drift": Carried(
        ("windows", "psi_debiased"), ("detections_total", "psi"), ("amount/all", "psi_debiased"), "What moved"
    ),
}


class Told(NamedTuple):
    """What a fold gave."""

    fold: PartitionFold
    sink: ListSink
    messages: list[Outgoing]


class Timed(Log):
    """A log whose predictions tell how long they took."""

    def _columns(self, first: int, last: int) -> dict[str, pa.Array]:
        rng = np.random.default_rng(first)
        count = last - first
        told = {"latency_ms": pa.array(rng.lognormal(3.0, 0.5, count)), "failed": pa.array([0] * count, pa.uint8())}
        return super()._columns(first, last) | told


@cache
def told() -> Told:
    """Return a model's story: of predictions of one class fewer labels come, and a second version answers too."""
    table = rows(ROWS, seed=3, drift_at=3_000)
    answer = table["prediction"].to_numpy()
    parts = [start + np.argsort(-answer[start : start + 1_000], kind="stable") for start in range(0, ROWS, 1_000)]
    published = published_as(CHOSEN)
    champion = Timed(table.take(np.concatenate(parts)), published)
    challenger = Timed(champion.table, published, records=champion.records, last=champion.last)
    champion.tick(after_ms=ROWS * HOUR_MS)  # log time is ahead: what is final is so by the predictions' own time
    for start in range(0, ROWS, 1_000):
        for log, version in ((champion, "v1"), (challenger, "v2")):
            log.serve(start, start + 1_000, model_version=version)
        for log, version in ((champion, "v1"), (challenger, "v2")):
            log.label(start, start + 650, model_version=version)
    sink = ListSink()
    fold = fold_of(published, sink=sink, options=fold_options(profiles=True))
    return Told(fold, sink, folded(fold, champion.records))


@cache
def columns_in(folder: Path) -> dict[str, set[str]]:
    """Return the columns that hold anything, by file."""
    story = told()
    cohorts = [row for watch in story.fold.watches.values() for row in watch.cohort_rows(story.fold.log_time)]
    write_cohorts(folder / "performance.parquet", cohorts, {})
    write_windows(folder / "windows.parquet", story.sink.windows, [])
    write_fairness(folder / "fairness.parquet", story.sink.fairness_rows)
    write_serving(folder / "serving.parquet", story.sink.serving_rows)
    found = {path.stem: pq.read_table(path) for path in folder.glob("*.parquet")}
    held = {
        name: {column for column in table.column_names if table[column].null_count < table.num_rows}
        for name, table in found.items()
    }
    return held | {"summary": set(msgspec.to_builtins(summary()))}


@cache
def summary() -> Summary:
    story = told()
    alerts = [
        Record(one.topic, 0, place, 0, None, one.value)
        for place, one in enumerate(story.messages)
        if one.topic == TOPICS.alerts
    ]
    return summarise({}, story.fold.watches, alerts, [], 1.0)


@cache
def shown() -> str:
    story = told()
    cohorts = [row for watch in story.fold.watches.values() for row in watch.cohort_rows(story.fold.log_time)]
    return unescape(page(summary(), story.sink, cohorts))


@cache
def measured() -> dict[str, set[str]]:
    """Return the labels of what Prometheus is shown, by metric."""
    fold = told().fold
    watched = {key: watch.figures() for key, watch in fold.watches.items()}
    measures = [
        *account._performance(watched),
        *account._incidents(watched, {}),
        *account._said(fold._options.outputs.told),
        *service_measures(watched, account.WATCH),
        *estimate_measures(watched, account.WATCH),
        *fairness_measures(watched),
        *challenger_measures(fold.challengers.figures()),
    ]
    return {one.name: {label for labels in one.samples for label in labels} for one in measures}


@pytest.mark.parametrize("what", PLACES)
def test_what_is_measured_is_in_a_file_of_the_backtest(what: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    name, column = PLACES[what].file

    assert column in columns_in(tmp_path_factory.getbasetemp())[name]


@pytest.mark.parametrize("what", PLACES)
def test_what_is_measured_is_shown_to_prometheus(what: str) -> None:
    name, label = PLACES[what].prometheus

    assert label in measured()[f"detector_{name}"]


@pytest.mark.parametrize("what", PLACES)
def test_what_is_measured_is_published(what: str) -> None:
    key, word = PLACES[what].topic
    topic = TOPICS.alerts if key == ALERTS else TOPICS.profiles

    published = [
        one.value or b""
        for one in told().messages
        if one.topic == topic and (key == ALERTS or (one.key or b"").decode().endswith(key))
    ]

    assert any(word.encode() in value for value in published)


@pytest.mark.parametrize("what", [what for what, places in PLACES.items() if places.page])
def test_what_is_measured_is_on_the_page(what: str) -> None:
    assert f">{PLACES[what].page}<" in shown()
