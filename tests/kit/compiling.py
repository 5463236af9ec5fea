"""What a detector compiles: `python -m tests.kit.compiling` folds a log that needs every kernel, and counts.

Writes one JSON object: where kernels are kept, the modules of those found compiled, and of those compiled now.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import msgspec

from services.detector.adapters.kernel_cache import use_kernel_cache
from services.detector.banks import compiled
from tests.kit.traffic import Log, fold_of, folded, rows


@dataclass(frozen=True, slots=True)
class Compiling:
    """How the kernels of one process came about."""

    kept_in: str | None
    loaded: set[str]
    compiled: set[str]


def main() -> None:
    """Fold served and labelled rows with drift and loss of performance."""
    kept_in = use_kernel_cache()
    log = Log(rows(6_000, drift_at=2_000, error_rate=0.4))
    for start in range(0, 6_000, 1_000):
        log.serve(start, start + 1_000)
        log.label(start, start + 500)
    folded(fold_of(), log.records)
    kernels = [(kernel.py_func.__module__.rpartition(".")[2], kernel.stats) for kernel in compiled._kernels]
    found = Compiling(
        None if kept_in is None else str(kept_in),
        {module for module, stats in kernels if stats.cache_hits},
        {module for module, stats in kernels if stats.cache_misses},
    )
    sys.stdout.write(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main()
