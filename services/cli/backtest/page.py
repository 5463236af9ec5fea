"""The page of a backtest, `report.html`: what was told, what labels say and what moved, to look at.

One file that needs nothing from elsewhere and runs nothing: drawings are in it, and names from events are escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from jinja2 import Environment, PackageLoader, StrictUndefined

from services.cli.backtest import chart
from services.cli.backtest.chart import Chart, Point
from services.cli.backtest.summary import ModelSummary, Summary
from services.detector.baseline import ALL
from services.detector.performance.metrics.rankings import MRR
from services.detector.report import CohortRow, FairnessRow, ListSink, WindowRow
from services.detector.serving.period import ServingRow
from shared.events.alert import Incident
from shared.events.comparison import Comparison

MOST_SIGNALS = 12  # of a model that are drawn, those that moved furthest
METRICS = (
    *("cost", "accuracy", "f1", "f1_macro", "precision", "recall", "roc_auc", "roc_auc_macro", "log_loss", "ece"),
    *("mae", "rmse", "mean_error", "mape", "r2"),
    *("accuracy_ipw", "recall_ipw", "f1_ipw", "recall_macro_ipw", "f1_macro_ipw"),
    *(
        "estimated_accuracy",
        "estimated_f1",
        "estimated_f1_macro",
        "estimated_roc_auc",
        "estimated_mae",
        "estimated_rmse",
    ),
)  # in this order; a model has those of its task

SERVING = ("latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "error_rate", "rows_per_hour")


@dataclass(frozen=True, slots=True)
class ModelPage:
    """What the page says of one model version."""

    summary: ModelSummary
    incidents: list[Incident]
    signals: list[Chart]
    signals_left_out: int
    metrics: list[Chart]
    fairness: list[Chart]
    serving: list[Chart]
    comparisons: list[Comparison]


def page(summary: Summary, sink: ListSink, cohorts: Sequence[CohortRow]) -> str:
    """Return the page, HTML in UTF-8."""
    models = [_model_page(model, summary, sink, cohorts) for model in summary.models]
    environment = Environment(
        loader=PackageLoader("services.cli", "backtest"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(summary=summary, models=models, drawing=chart)


def _model_page(model: ModelSummary, summary: Summary, sink: ListSink, cohorts: Sequence[CohortRow]) -> ModelPage:
    def is_ours(row: Incident | WindowRow | CohortRow | FairnessRow | ServingRow | Comparison) -> bool:
        return (row.model, row.model_version) == (model.model, model.model_version)

    ours = [incident for incident in summary.incidents if is_ours(incident)]
    signals = _signals([row for row in sink.windows if is_ours(row) and row.segment == ALL])
    moved = [name for name, points in signals.items() if len({point.value for point in points}) > 1]
    furthest = sorted(moved, key=lambda name: -max(point.value for point in signals[name]))
    detected = {
        name: [i.detected.row for i in ours if any(c.feature == name for c in (*i.culprits, *i.inside_segments))]
        for name in signals
    }
    of_all = [row for row in cohorts if is_ours(row) and row.segment == ALL]
    return ModelPage(
        summary=model,
        incidents=ours,
        signals=[
            chart.chart(name, signals[name], model.rows_served, detected[name]) for name in furthest[:MOST_SIGNALS]
        ],
        signals_left_out=len(signals) - min(len(furthest), MOST_SIGNALS),
        metrics=[
            chart.chart(name, points, model.rows_served)
            for name in (*METRICS, *_of_rankings(of_all))
            if (points := _metric(of_all, name))
        ],
        fairness=_fairness([row for row in sink.fairness_rows if is_ours(row)], model.rows_served),
        serving=_serving([row for row in sink.serving_rows if is_ours(row)]),
        comparisons=[said for said in summary.comparisons if is_ours(said)],
    )


def _signals(windows: Sequence[WindowRow]) -> Mapping[str, list[Point]]:
    """Return by signal the PSI of its windows less what chance gives; pairs of columns have none."""
    found: dict[str, list[Point]] = {}
    for row in windows:
        if row.psi_debiased is not None:
            found.setdefault(row.signal, []).append(Point(row.last_served_row, row.psi_debiased))
    return found


def _of_rankings(cohorts: Sequence[CohortRow]) -> Sequence[str]:
    """Return the metrics at a length that cohorts have, in their order; those of rankings alone are."""
    return [name for name in (cohorts[0].metrics if cohorts else ()) if "@" in name or name == MRR]


def _fairness(rows: Sequence[FairnessRow], served: int) -> list[Chart]:
    """Return each metric of each protected dimension, at the row at which the newest cohort began."""
    found: dict[str, list[Point]] = {}
    for row in rows:
        for name, value in row.metrics.items():
            if value.value is not None:
                point = Point(row.served_row, value.value, value.low, value.high)
                found.setdefault(f"{name}({row.dimension})", []).append(point)
    return [chart.chart(name, points, served) for name, points in sorted(found.items())]


def _serving(rows: Sequence[ServingRow]) -> list[Chart]:
    """Return what the model's own service did, at the predictions that it had answered by then."""
    ends = list(accumulate(row.n for row in rows))
    drawn = {
        name: [
            Point(end, value) for end, row in zip(ends, rows, strict=True) if (value := getattr(row, name)) is not None
        ]
        for name in SERVING
    }
    return [chart.chart(name, points, ends[-1]) for name, points in drawn.items() if points]


def _metric(cohorts: Sequence[CohortRow], name: str) -> list[Point]:
    values = [(row.cohort_end_row, row.metrics[name]) for row in cohorts if name in row.metrics]
    return [Point(end, value.value, value.low, value.high) for end, value in values if value.value is not None]
