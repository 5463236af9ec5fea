"""Tell stories in which everything goes wrong: `python -m tests.simulation`. Exit 1 if one does not end well."""

from __future__ import annotations

import multiprocessing
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from time import monotonic
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tests.simulation.story import told_by
from tests.simulation.verdict import account, prepare, shortest, verdict, verdicts

STORIES = 10_000
AT_ONCE = 50  # stories of one piece of work


def simulate(
    seed: Annotated[list[int] | None, typer.Option(help="Only this story; repeat it for more.")] = None,
    first: Annotated[int, typer.Option(min=0, help="The seed of the first story.")] = 0,
    stories: Annotated[int, typer.Option(min=1, help="How many.")] = STORIES,
    processes: Annotated[int, typer.Option(min=1, help="How many work at a time.")] = os.cpu_count() or 1,
) -> None:
    """Simulate the services among faults, and compare what they leave behind with a fold of the same logs."""
    begun = monotonic()
    seeds = seed or range(first, first + stories)
    counts, failed = _told(seeds, min(processes, -(-len(seeds) // AT_ONCE)))
    figures = ", ".join(f"{times:,} {what}" for what, times in sorted(counts.items()))
    typer.echo(f"{len(seeds):,} stories in {monotonic() - begun:.0f} s: {figures}")
    if not failed:
        typer.echo("every one ended as a fold of its logs")
        return
    prepare()
    failing = verdict(told_by(failed[0]))
    typer.echo(f"\n{account(failing, shortest(failing))}", err=True)
    typer.echo(f"failed: {', '.join(map(str, failed))}", err=True)
    raise typer.Exit(1)


def _told(seeds: Sequence[int], processes: int) -> tuple[Counter[str], list[int]]:
    """Return what happened in all stories, and the seeds of those that failed."""
    columns = (TextColumn("stories"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    counts: Counter[str] = Counter()
    failed: list[int] = []
    # Spawned: a forked process would inherit the threads of Arrow half-way.
    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(processes, mp_context=context, initializer=prepare) as pool,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars,
    ):
        bar = bars.add_task("stories", total=len(seeds))
        parts = [seeds[at : at + AT_ONCE] for at in range(0, len(seeds), AT_ONCE)]
        for future in as_completed([pool.submit(verdicts, part) for part in parts]):
            some, bad = future.result()
            counts += some
            failed += bad
            bars.update(bar, advance=AT_ONCE)
    return counts, sorted(failed)


if __name__ == "__main__":
    typer.run(simulate)
