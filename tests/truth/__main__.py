"""Put every promise of the detector's statistics to the test: `python -m tests.truth`. Exit 1 if one does not hold."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.detector.adapters.kernel_cache import use_kernel_cache
from tests.truth.catalogue import EXPERIMENTS
from tests.truth.experiment import Case, Experiment
from tests.truth.table import Report, row_of, table_of


def truth(
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only these; repeat it for more.")] = None,
    scale: Annotated[float, typer.Option(min=0.001, max=1.0, help="Share of the runs or rows of each.")] = 1.0,
    processes: Annotated[int, typer.Option(min=1, help="How many work at a time.")] = os.cpu_count() or 1,
    as_json: Annotated[bool, typer.Option("--json", help="Write the report as JSON.")] = False,
    out: Annotated[Path | None, typer.Option("--out", dir_okay=False, help="Also write the JSON here.")] = None,
) -> None:
    """Simulate what is promised of false alarms and delays, and say which promises hold."""
    for name in only or ():
        if name not in EXPERIMENTS:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(EXPERIMENTS)}", param_hint="--only")
    begun = monotonic()
    chosen = [EXPERIMENTS[name] for name in dict.fromkeys(only or EXPERIMENTS)]
    results = _results([experiment.cases(scale) for experiment in chosen], chosen, processes)
    rows = [row_of(e, e.judge(found, scale)) for e, found in zip(chosen, results, strict=True)]
    holds = all(row.holds for row in rows)
    report = Report(scale=scale, seconds=round(monotonic() - begun, 1), holds=holds, experiments=rows)
    content = msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
    if out is not None:
        out.write_bytes(content)
    if as_json:
        typer.echo(content.decode(), nl=False)
    else:
        Console(width=None if os.isatty(1) else 160).print(table_of(report), highlight=False)
    if not holds:
        raise typer.Exit(1)


def _results(cases: Sequence[Sequence[Case]], chosen: Sequence[Experiment], processes: int) -> list[list[Any]]:
    """Run the cases of every experiment, in processes that share nothing; results in the order of the cases."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    # Spawned: a forked process would inherit the threads of Arrow half-way.
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(processes, mp_context=context, initializer=use_kernel_cache) as pool,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars,
    ):
        bar = bars.add_task("truth", total=sum(map(len, cases)))
        futures: list[list[Future[Any]]] = [[pool.submit(case) for case in of_one] for of_one in cases]
        names = {future: chosen[i].name for i, of_one in enumerate(futures) for future in of_one}
        for future in as_completed(names):
            bars.update(bar, description=names[future], advance=1)
        return [[future.result() for future in of_one] for of_one in futures]


if __name__ == "__main__":
    typer.run(truth)
