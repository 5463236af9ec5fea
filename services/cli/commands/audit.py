"""`driftline audit`: who did what, and what the services decided."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import settings
from shared.errors import Malformed
from shared.values import parse_ts


def register(app: typer.Typer) -> None:
    """Add `audit`."""
    app.command("audit")(audit)


def audit(
    since: Annotated[str | None, typer.Option("--from", metavar="TS", help="From this time on, RFC 3339.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TS", help="Before this time.")] = None,
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Write the result as CSV.")] = False,
) -> None:
    """List configurations, baselines, acts of people, incidents and retraining decisions, in order of time."""
    from services.cli import tables
    from services.cli.adapters.audits import audited
    from services.cli.audit.lines import csv_of, listing

    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv exclude each other")
    found = audited(settings(), since_ms=_time("--from", since), until_ms=_time("--to", until), model=model)
    if as_json:
        output.result_json(found)
    elif as_csv:
        output.result(csv_of(found))
    else:
        tables.show(listing(found))


def _time(option: str, text: str | None) -> int | None:
    try:
        return None if text is None else parse_ts(text)
    except Malformed as exc:
        raise typer.BadParameter(exc.detail, param_hint=option) from exc
