"""`driftline bench`: measure this installation on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import cache, settings
from services.cli.bench.figure import NAMES, ONLY_BY_NAME
from services.cli.exits import Exit


def register(app: typer.Typer) -> None:
    """Add `bench`."""
    app.command("bench")(bench)


def bench(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME]...",
            help=f"Some of {', '.join(NAMES)}; none: all but {', '.join(ONLY_BY_NAME)}.",
            show_default=False,
        ),
    ] = None,
    repeat: Annotated[int, typer.Option(min=1, help="Runs of each benchmark; their median counts.")] = 5,
    events: Annotated[int, typer.Option(min=2_000, help="Events of a run; fewer are quicker and less sure.")] = 100_000,
    as_json: Annotated[bool, typer.Option("--json", help="Write the report as JSON.")] = False,
    out: Annotated[Path | None, typer.Option("--out", dir_okay=False, help="Also write the JSON here.")] = None,
) -> None:
    """Measure speed and size of the services, as ratios where a ratio says more; exit 1 when a promise does not hold.

    Starts a Kafka and a Redis of its own where they are needed. Let nothing else run meanwhile.
    """
    import msgspec
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from services.cli.adapters.bench.run import BenchOptions, run
    from services.cli.bench.report import lines

    for name in names or ():
        if name not in NAMES:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(NAMES)}", param_hint="NAME")
    chosen = list(dict.fromkeys(names or (name for name in NAMES if name not in ONLY_BY_NAME)))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=Console(stderr=True), transient=True, disable=not output.a_person_watches()
    ) as bars:
        bar = bars.add_task("", total=repeat * len(chosen))
        found = run(
            chosen,
            BenchOptions(repeat=repeat, events=events, cache=cache(settings())),
            lambda what, done: bars.update(bar, description=what, advance=done),
        )
    if out is not None:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(found), indent=2) + b"\n")
    if as_json:
        output.result_json(found, indent=True)
    else:
        for text in lines(found):
            output.result(text)
    if not found.ok:
        raise typer.Exit(Exit.FAILURE)
