"""A backtest's edge: files in, files out, a progress bar, the seconds it took."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from time import monotonic

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.cli.adapters.baselines import baseline_of, progress_bar
from services.cli.adapters.environment import settings
from services.cli.backtest.late import late_labels
from services.cli.backtest.lines import Line, merged
from services.cli.backtest.page import page
from services.cli.backtest.run import Outcome, run
from services.cli.backtest.summary import Summary, summarise
from services.cli.backtest.tables import write_cohorts, write_fairness, write_serving, write_windows
from services.cli.backtest.warm_up import learned
from services.cli.configuration import Configuration, read_configuration
from services.cli.publication import Publication
from services.detector.adapters.kernel_cache import use_kernel_cache
from shared.errors import ConfigurationError
from shared.identity import IdKey


def run_files(
    config: Path, predictions: Path, ground_truth: Path, reference: Path | None, out: Path, window: int | None
) -> Summary:
    """Run a backtest and write its results.

    Raises:
        ConfigurationError: a file cannot be read, or the configuration does not fit.
    """
    begun = monotonic()
    use_kernel_cache()
    configuration = _with_reference(read_configuration(config), reference)
    key = settings().id_key
    publications, lines = _published(configuration, predictions, ground_truth, key)
    console = Console(stderr=True)
    columns = (TextColumn("backtest"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("", total=len(lines))
        outcome = run(
            publications,
            lines,
            id_key=key,
            code_version=version("driftline"),
            report_rows=window,
            progress=lambda fed: bars.update(bar, completed=fed),
        )
    horizons = {model: spec.horizon_ms for model, spec in configuration.monitors.models.items()}
    late = late_labels(outcome.observations, lines, horizons, IdKey(key.encode()), outcome.cells)
    rows = {one.definition.model: one.definition.built_from for one in publications}
    summary = summarise(
        outcome.counters,
        outcome.watches,
        outcome.alerts,
        outcome.dead_letters,
        monotonic() - begun,
        {model: built_from for model, built_from in rows.items() if built_from is not None},
    )
    out.mkdir(parents=True, exist_ok=True)
    _write(out, outcome, summary, late)
    return summary


def _published(
    configuration: Configuration, predictions: Path, ground_truth: Path, key: str
) -> tuple[list[Publication], list[Line]]:
    """Return what the configuration publishes, and the events in order, the first of which some models learn from."""
    models = configuration.monitors.models
    known = {
        model: Publication.of(model, spec, baseline_of(configuration, model, spec))
        for model, spec in models.items()
        if spec.warm_up is None
    }
    lines = merged(predictions, ground_truth)
    for model, spec in models.items():
        if model not in known:
            with progress_bar(f"baseline of {model}") as tell:
                known[model] = learned(model, spec, lines, id_key=key, tell=tell).publication
    return [known[model] for model in models], lines


def _with_reference(configuration: Configuration, reference: Path | None) -> Configuration:
    if reference is None:
        return configuration
    models = configuration.monitors.models
    if len(models) != 1:
        raise ConfigurationError("--reference", f"there are {len(models)} models; name each one's in the configuration")
    changed = {
        name: msgspec.structs.replace(spec, reference=str(reference.resolve()), warm_up=None, classes=[])
        for name, spec in models.items()
    }
    return Configuration(configuration.path, msgspec.structs.replace(configuration.monitors, models=changed))


def _write(out: Path, outcome: Outcome, summary: Summary, late: dict[tuple[str, str, str, int], int]) -> None:
    with (out / "alerts.jsonl").open("wb") as alerts:
        for record in outcome.alerts:
            alerts.write((record.value or b"") + b"\n")
    write_windows(out / "windows.parquet", outcome.sink.windows, summary.incidents)
    cohorts = [row for watch in outcome.watches.values() for row in watch.cohort_rows(outcome.log_time)]
    write_cohorts(out / "performance.parquet", cohorts, late)
    if outcome.sink.fairness_rows:
        write_fairness(out / "fairness.parquet", outcome.sink.fairness_rows)
    if outcome.sink.serving_rows:
        write_serving(out / "serving.parquet", outcome.sink.serving_rows)
    (out / "summary.json").write_bytes(msgspec.json.format(msgspec.json.encode(summary)))
    (out / "report.html").write_text(page(summary, outcome.sink, cohorts), encoding="utf-8")
