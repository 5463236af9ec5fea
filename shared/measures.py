"""What a stage counts of itself, as plain numbers; `shared/adapters/health.py` shows them to Prometheus.

A name has no `driftline_` in front; a counter ends in `_total`; units stand in the name (`_seconds`, `_bytes`). Label
values come from a known, bounded set: models, partitions, reasons; never a request id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Labels = tuple[str, ...]


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
