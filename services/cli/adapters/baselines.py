"""Baselines from reference files, with a progress bar when a person watches."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from services.cli.configuration import Configuration
from services.detector.adapters.kernel_cache import use_kernel_cache
from services.detector.adapters.reference_file import read_reference
from services.detector.baseline import Baseline
from services.detector.baseline_build import build_baseline
from shared.monitors import ModelSpec


def baseline_of(configuration: Configuration, model: str, spec: ModelSpec) -> Baseline:
    """Return a model's baseline.

    Raises:
        ConfigurationError: the reference cannot be read, or does not fit the configuration.
    """
    use_kernel_cache()
    table = read_reference(configuration.reference(spec), model)
    console = Console(stderr=True)
    columns = (TextColumn(f"baseline of {model}"), BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("", total=1.0)

        def progress(step: str, share: float) -> None:
            bars.update(bar, completed=share, description=step)

        return build_baseline(model, spec, table, progress)
