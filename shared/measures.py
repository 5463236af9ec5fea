"""What a stage counts of itself, as plain numbers; `shared/adapters/health.py` shows them to Prometheus.

A name has no `driftline_` in front; a counter ends in `_total`; units stand in the name (`_seconds`, `_bytes`). Label
values come from a known, bounded set: models, partitions, reasons; never a request id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from shared.log import TopicPartition

Labels = tuple[str, ...]
LOG_LABELS: Labels = ("topic", "partition")


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric as it stands now. `samples`: value by label values, in the order of `labels`; `()` without labels."""

    name: str
    help: str
    samples: Mapping[Labels, float]
    labels: Labels = ()

    @property
    def is_counter(self) -> bool:
        """Return whether the numbers only grow while the process lives."""
        return self.name.endswith("_total")


def number(name: str, text: str, value: float) -> Measure:
    """Return a metric without labels."""
    return Measure(name, text, {(): value})


def of_logs(name: str, text: str, values: Mapping[TopicPartition, float]) -> Measure:
    """Return a metric of one value per log; a log of which nothing is known is left out."""
    return Measure(
        name, text, {(source.topic, str(source.partition)): value for source, value in values.items()}, LOG_LABELS
    )


def bounded(
    name: str, text: str, samples: Mapping[Labels, float], limit: float, labels: Labels = ()
) -> tuple[Measure, Measure]:
    """Return the use of a bound, and the bound beside it as `<name>_limit`."""
    return Measure(name, text, samples, labels), number(f"{name}_limit", f"The most that {name} can be.", limit)
