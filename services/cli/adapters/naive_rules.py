"""The naive rules over the demo's own events, in this process: the recorded sets and their references."""

from __future__ import annotations

from collections.abc import Mapping

from services.cli.demo import sets
from services.cli.demo.naive_columns import Traffic, traffic
from services.cli.demo.naive_rules import RULES
from services.cli.demo.naive_table import DRIFTLINE, Comparison, compare
from services.detector.adapters.kernel_cache import use_kernel_cache
from services.detector.adapters.reference_file import read_reference
from services.detector.reference_table import ReferenceTable
from shared.monitors import read_monitors

WINDOW_ROWS = 1_000  # as in reports


def compared(rows: int | None, ours: Mapping[str, list[int]], stream_days: Mapping[str, float]) -> Comparison:
    """Return what the rules would have paged on the first `rows` predictions of each set (None: all), and Driftline.

    ours: the row of each of Driftline's pages, by model. Files are all that is read; the same files give the same.
    """
    use_kernel_cache()
    streams = {name: recorded_traffic(name, rows) for name in sets.SETS}
    pages = {rule.name: {name: rule.pages(stream, WINDOW_ROWS) for name, stream in streams.items()} for rule in RULES}
    pages[DRIFTLINE] = {name: ours.get(name, []) for name in sets.SETS}
    return compare(pages, changes=sets.KNOWN_CHANGES, stream_days=stream_days, window_rows=WINDOW_ROWS)


def recorded_traffic(name: str, rows: int | None = None) -> Traffic:
    """Return a set's events beside its reference."""
    folder = sets.folder(name)
    spec = read_monitors(folder / "driftline.yaml").models[name]
    reference = ReferenceTable(name, spec, read_reference(folder / spec.reference_file, name))
    return traffic(sets.recorded(name, rows), reference)
