"""Rows per second at which the joiner rebuilds a view that was wiped, all of whose outputs are written already.

The rows and the clock are those of the joiner's benchmark, which tells what silence saves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from services.cli.adapters.bench.joining import Written, join, write
from services.cli.bench.figure import BenchFailed, Figure, Measure, Place
from shared.adapters.process import collect_rarely

FLOOR = 100_000.0


class RebuildBench:
    """Rows of halves per second."""

    needs_stack = True
    figures = (
        Figure(name="rebuild.rows", unit="rows/s", what="a wiped view, from halves in full blocks", floor=FLOOR),
    )

    @contextmanager
    def ready(self, place: Place) -> Iterator[Measure]:
        """Write the halves and join nothing yet."""
        written = write(place)
        with collect_rarely():
            yield partial(_measure, written)


BENCH = RebuildBench()


def _measure(written: Written) -> Mapping[str, float]:
    joined = join(written, is_acknowledged=True)
    if joined.account.flow.blocks_out:
        raise BenchFailed("the view was not rebuilt in silence: outputs were written")
    return {"rebuild.rows": written.rows / joined.seconds}
