"""The metrics of the model's own service."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.detector.figures import Figures
from shared.measures import Labels, Measure


def service_measures(watched: Mapping[tuple[str, str], Figures], labels: Labels) -> Iterator[Measure]:
    """Yield what the services of models do; labels: of a model and its version."""
    yield Measure(
        "detector_failed_rows_total",
        "Predictions that told of an error.",
        {key: figures.rows_failed for key, figures in watched.items()},
        labels,
    )
    known = {key: figures.serving for key, figures in watched.items() if figures.serving is not None}
    yield Measure(
        "detector_service_error_ratio",
        "Share of predictions that told of an error, in the newest whole hour of stream time.",
        {key: row.error_rate for key, row in known.items()},
        labels,
    )
    yield Measure(
        "detector_service_rows_per_hour",
        "Predictions in that hour.",
        {key: row.rows_per_hour for key, row in known.items()},
        labels,
    )
    yield Measure(
        "detector_service_latency_seconds",
        "Quantiles of that hour's latencies, within 2 % of the true ones.",
        {
            (*key, quantile): latency / 1000
            for key, row in known.items()
            for quantile, latency in (
                ("0.5", row.latency_p50_ms),
                ("0.95", row.latency_p95_ms),
                ("0.99", row.latency_p99_ms),
            )
            if latency is not None
        },
        (*labels, "quantile"),
    )
