"""`driftline backtest`: what would have been alerted on recorded events."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli import output


def register(app: typer.Typer) -> None:
    """Add `backtest`."""
    app.command("backtest")(backtest)


def backtest(
    config: Annotated[Path, typer.Option(help="driftline.yaml")],
    predictions: Annotated[Path, typer.Option(help="Prediction events, JSON lines (.jsonl, .jsonl.zst, .jsonl.gz).")],
    ground_truth: Annotated[Path, typer.Option(help="Label events, JSON lines.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder for the results; made if it is missing.")],
    reference: Annotated[
        Path | None, typer.Option(help="Reference of the model, instead of the one in CONFIG (one model only).")
    ] = None,
    window: Annotated[
        int | None, typer.Option(min=10, help="Rows of the report's windows and cohorts; detection keeps its own.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the summary as JSON.")] = False,
) -> None:
    """Run the services over files, in one process.

    Leaves alerts.jsonl, windows.parquet, performance.parquet, summary.json, and report.html to look at.
    """
    from services.cli.adapters.backtest import run_files

    summary = run_files(config, predictions, ground_truth, reference, out, window)
    if as_json:
        output.result_json(summary, indent=True)
        return
    for line in summary.lines():
        output.result(line)
    output.result(f"results in {out}; look at {out / 'report.html'}")
