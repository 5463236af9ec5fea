"""`driftline trace`: what became of one request."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import settings
from services.cli.exits import Exit


def register(app: typer.Typer) -> None:
    """Add `trace`."""
    app.command("trace")(trace)


def trace(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="The model that the request went to.")],
    request_id: Annotated[str, typer.Argument(metavar="REQUEST_ID", help="As its producer wrote it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Follow one request through the logs: events, halves, observations, cohort, windows, incidents.

    Exit 1 where no log has it.
    """
    from services.cli import tables
    from services.cli.adapters.traces import traced
    from services.cli.trace.lines import listing, sentences

    found = traced(settings(), model, request_id)
    if as_json:
        output.result_json(found)
    elif found.is_found:
        tables.show(listing(found))
    if not as_json:
        for text in sentences(found):
            output.result(text)
    if not found.is_found:
        output.message("no log has it: other model, other id, other DRIFTLINE_ID_KEY, refused, or no longer kept")
        raise typer.Exit(Exit.FAILURE)
