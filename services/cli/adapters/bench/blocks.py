"""What a row costs in smaller blocks: the joiner's and the detector's folds, in memory, at several block sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from services.cli.adapters.bench.folds import Folds
from services.cli.bench.figure import Figure, Measure, Place
from shared.adapters.process import collect_rarely
from shared.events.block import MAX_ROWS
from shared.log import Record

SIZES = (1, 10, 100, MAX_ROWS)
BLOCKS = 250  # of each kind at most, so that single rows do not take minutes
FOLDS = ("joiner", "detector")


class BlocksBench:
    """Microseconds a row, and how many times those of a full block."""

    needs_stack = False
    figures = tuple(
        figure
        for fold in FOLDS
        for size in SIZES
        for figure in (
            Figure(name=f"blocks.{fold}.{size}", unit="us/row", what=f"{fold}'s fold, {size:,} rows a block"),
            Figure(name=f"blocks.{fold}.{size}.ratio", unit="ratio", what=f"{size:,} rows a block to {MAX_ROWS:,}"),
        )
    )

    @contextmanager
    def ready(self, place: Place) -> Iterator[Measure]:
        """Make the logs."""
        folds = Folds(place.settings)
        logs = {size: folds.halves(min(place.events // 2, size * BLOCKS), size) for size in SIZES}
        rows = {size: 2 * min(place.events // 2, size * BLOCKS) for size in SIZES}
        with collect_rarely():
            yield partial(_measure, folds, logs, rows)


BENCH = BlocksBench()


def _measure(folds: Folds, logs: Mapping[int, Sequence[Record]], rows: Mapping[int, int]) -> Mapping[str, float]:
    costs: dict[tuple[str, int], float] = {}
    for size, log in logs.items():
        observations, seconds = folds.join(log)
        costs["joiner", size] = seconds / rows[size] * 1e6
        costs["detector", size] = folds.detect(observations) / rows[size] * 1e6
    found = {f"blocks.{fold}.{size}": cost for (fold, size), cost in costs.items()}
    ratios = {f"blocks.{fold}.{size}.ratio": cost / costs[fold, MAX_ROWS] for (fold, size), cost in costs.items()}
    return found | ratios
