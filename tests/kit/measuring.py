"""What a stage shows, by name: values by label values, alone where there are no labels."""

from __future__ import annotations

from collections.abc import Iterable

from shared.measures import Labels, Measure

Shown = dict[str, float | dict[Labels, float]]


def shown(measures: Iterable[Measure]) -> Shown:
    """Return every measure; refuses names that come twice and samples that do not fit their labels."""
    found: Shown = {}
    for measure in measures:
        assert measure.name not in found
        assert all(len(values) == len(measure.labels) for values in measure.samples)
        found[measure.name] = dict(measure.samples) if measure.labels else measure.samples.get((), {})
    return found
