"""Inject faults into real services on a real Kafka and Redis: `python -m tests.faults`. Exit 1 if a row is red."""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from time import monotonic
from typing import Annotated

import msgspec
import typer
from rich.console import Console

from services.detector.adapters.kernel_cache import use_kernel_cache
from tests.faults.fault import Row, Verdict
from tests.faults.run import run
from tests.faults.servers import Servers, programs, servers
from tests.faults.table import FAULTS

STYLES = {Verdict.GREEN: "green", Verdict.RED: "bold red", Verdict.NOT_RUN: "yellow"}


def faults(
    only: Annotated[list[int] | None, typer.Option(help="Only this fault; repeat it for more.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of traffic and injections; a new one by default.")] = None,
    records: Annotated[int, typer.Option(min=2_000, help="Events that are written during each fault.")] = 20_000,
    as_json: Annotated[bool, typer.Option("--json", help="Write the rows as JSON.")] = False,
) -> None:
    """Inject each fault, fold the logs that it leaves behind, and tell what was seen."""
    unknown = sorted(set(only or ()) - set(FAULTS))
    if unknown:
        raise typer.BadParameter(f"there is no fault {', '.join(map(str, unknown))}", param_hint="--only")
    chosen = secrets.randbelow(1_000_000) if seed is None else seed
    use_kernel_cache()
    logging.getLogger("librdkafka").addHandler(logging.NullHandler())  # servers that die are no news here
    console = Console(stderr=as_json, highlight=False)
    begun = monotonic()
    folder = Path(tempfile.mkdtemp(prefix="driftline-faults-"))
    rows = []
    for row in _rows(sorted(only or FAULTS), folder, chosen, records, console):
        rows.append(row)
        _show(row, console)
    told = ", ".join(f"{sum(row.verdict is verdict for row in rows)} {verdict}" for verdict in Verdict)
    console.print(f"{told}; seed {chosen}, {monotonic() - begun:.0f} s")
    if as_json:
        typer.echo(msgspec.json.encode(rows).decode())
    if any(row.verdict is Verdict.RED for row in rows):
        console.print(f"what the services said: {folder}")
        raise typer.Exit(1)
    shutil.rmtree(folder)


def _rows(numbers: Sequence[int], folder: Path, seed: int, records: int, console: Console) -> Iterator[Row]:
    """Inject faults one after another, on servers that last until one of them is red or leaves a server dead."""
    found = programs(console.print)
    running: Servers | None = None
    with ExitStack() as undo:
        for fault in sorted((FAULTS[number] for number in numbers), key=lambda fault: (fault.brokers, fault.number)):
            if running is None or len(running.brokers) != fault.brokers:
                undo.close()
                running = undo.enter_context(servers(found, fault.brokers))
            logs = folder / f"{fault.number}"
            logs.mkdir()
            row = run(fault, running, logs, seed=seed, records=records)
            if row.verdict is Verdict.RED or not running.are_well:
                undo.close()
                running = None
            yield row


def _show(row: Row, console: Console) -> None:
    happened = ", ".join(f"{times:,} {what}" for what, times in row.happened.items())
    seen = ", ".join(f"{times:,} {what}" for what, times in row.seen.items())
    facts = [part for part in (happened, seen, row.verified and f"verify: {row.verified}") if part]
    console.print(
        f"{row.number:>2}  [{STYLES[row.verdict]}]{row.verdict:<7}[/]  {row.seconds:>5.0f} s  {row.fault}: "
        f"{'; '.join(facts)}",
        soft_wrap=True,
    )
    for why in row.why:
        console.print(f"    {why}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    typer.run(faults)
