"""Baselines from reference files, with a progress bar when a person watches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import rich.progress
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

from services.cli.adapters.environment import level_key, settings
from services.cli.configuration import Configuration
from services.detector.adapters.kernel_cache import use_kernel_cache
from services.detector.adapters.reference_file import read_reference
from services.detector.baseline import Baseline
from services.detector.baseline_build import Progress, build_baseline
from services.detector.hashed_reference import with_hashes
from services.detector.reference_table import ReferenceTable
from shared.monitors import ModelSpec


def baseline_of(configuration: Configuration, model: str, spec: ModelSpec) -> Baseline:
    """Return a model's baseline.

    Raises:
        ConfigurationError: the reference cannot be read, or does not fit the configuration.
    """
    use_kernel_cache()
    table = _reference(configuration, model, spec)
    with progress_bar(f"baseline of {model}") as tell:
        return build_baseline(model, spec, table, tell)


def reference_of(configuration: Configuration, model: str, spec: ModelSpec) -> ReferenceTable:
    """Return a model's reference.

    Raises:
        ConfigurationError: it cannot be read, or cannot be one.
    """
    return ReferenceTable(model, spec, _reference(configuration, model, spec))


def _reference(configuration: Configuration, model: str, spec: ModelSpec) -> pa.Table:
    table = read_reference(configuration.reference(spec), model)
    return with_hashes(model, spec, table, level_key(settings(), model, spec)) if spec.hashed else table


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """Show a bar while the block runs; yield what moves it: a step in words, and the share that is done."""
    console = Console(stderr=True)
    columns = (TextColumn(title), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with rich.progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("", total=1.0)

        def tell(step: str, share: float) -> None:
            bars.update(bar, completed=share, description=step)

        yield tell
