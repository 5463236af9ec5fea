"""What is shown of fairness."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.detector.fairness.watch import MAX_GROUPS
from services.detector.figures import Figures
from shared.measures import Labels, Measure, bounded

_LABELS: Labels = ("model", "model_version", "dimension")


def fairness_measures(watched: Mapping[tuple[str, str], Figures]) -> Iterator[Measure]:
    """Yield the figures of every model version that has protected dimensions."""
    yield Measure(
        "detector_fairness",
        "Metrics between the groups of a protected dimension, of the newest final cohort of each.",
        {
            (*key, dimension, name): metric.value
            for key, figures in watched.items()
            for dimension, metrics in figures.fairness.items()
            for name, metric in metrics.items()
            if metric.value is not None
        },
        (*_LABELS, "metric"),
    )
    yield from bounded(
        "detector_fairness_groups",
        "Groups of a protected dimension that are compared.",
        {(*key, name): groups for key, figures in watched.items() for name, groups in figures.fairness_groups.items()},
        MAX_GROUPS,
        _LABELS,
    )
