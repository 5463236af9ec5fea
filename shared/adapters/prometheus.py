"""Measures as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from shared.measures import Measure

PREFIX = "driftline_"


def registry_of(measures: Callable[[], Iterable[Measure]]) -> CollectorRegistry:
    """Return what a scrape shows: this process, this release, and what its stage counts."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    registry.register(_Measured(measures))
    return registry


class _Measured(Collector):
    """Measures as Prometheus knows them."""

    def __init__(self, measures: Callable[[], Iterable[Measure]]) -> None:
        self._measures = measures
        self._build = InfoMetricFamily(
            f"{PREFIX}build", "The release that runs.", value={"version": version("driftline")}
        )

    def describe(self) -> Iterable[Metric]:
        """Say nothing: what there is becomes known with the stage."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield what is known now."""
        yield self._build
        for measure in self._measures():
            yield _family(measure)


def _family(measure: Measure) -> Metric:
    kind = CounterMetricFamily if measure.is_counter else GaugeMetricFamily
    family = kind(f"{PREFIX}{measure.name}", measure.help, labels=measure.labels)
    for values, sample in measure.samples.items():
        family.add_metric(values, sample)
    return family
