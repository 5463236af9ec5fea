"""What is shown of estimates: those of the newest cohort, and whether labels bear such out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.detector.estimates.expected import PREFIX
from services.detector.figures import Figures
from shared.measures import Labels, Measure


def estimate_measures(watched: Mapping[tuple[str, str], Figures], labels: Labels) -> Iterator[Measure]:
    """Yield what is estimated of every model version; `labels` are of its key."""
    rows = {key: figures.estimate for key, figures in watched.items() if figures.estimate is not None}
    yield Measure(
        "detector_estimated_performance",
        "Metrics of all traffic that are to be expected before any label, of the newest full cohort.",
        {
            (*key, name.removeprefix(PREFIX)): metric.value
            for key, row in rows.items()
            for name, metric in row.metrics.items()
            if metric.value is not None
        },
        (*labels, "metric"),
    )
    yield Measure(
        "detector_estimate_warning",
        "1 where the model should be worse than on its reference in that cohort.",
        {key: float(row.estimate_warning) for key, row in rows.items()},
        labels,
    )
    told = {key: figures.performance for key, figures in watched.items() if figures.performance is not None}
    yield Measure(
        "detector_estimate_unreliable",
        "1 where labels contradict what was estimated, of the cohort that detector_performance is of.",
        {
            key: float(cohort.estimate_unreliable)
            for key, cohort in told.items()
            if cohort.estimate_unreliable is not None
        },
        labels,
    )
