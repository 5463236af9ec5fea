"""Rows per second of the joiner on Kafka and Redis, half of them predictions, then the labels of the same ids.

Timed from the moment the first blocks are read until the last compare-and-set is answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

from services.cli.adapters.bench.joining import Written, join, write
from services.cli.bench.figure import Figure, Measure, Place
from shared.adapters.process import collect_rarely


class JoinerBench:
    """Rows of halves per second."""

    needs_stack = True
    figures = (Figure(name="joiner.rows", unit="rows/s", what="joiner on Kafka and Redis, full blocks"),)

    @contextmanager
    def ready(self, place: Place) -> Iterator[Measure]:
        """Write the halves and join nothing yet."""
        written = write(place)
        with collect_rarely():
            yield partial(_measure, written)


BENCH = JoinerBench()


def _measure(written: Written) -> Mapping[str, float]:
    return {"joiner.rows": written.rows / join(written).seconds}
