"""`driftline erase`: forget requests, as the law may ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import settings
from services.cli.commands.actor_option import ActorOption


def register(app: typer.Typer) -> None:
    """Add `erase`."""
    app.command("erase")(erase)


def erase(
    model: Annotated[str, typer.Option(help="The model that the requests went to.")],
    request_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[REQUEST_ID]...", help="As their producers wrote them.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="A file with more of them, one a line.")
    ] = None,
    by: ActorOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Forget requests: what is kept of them for joining goes at once, and nothing more is taken of them.

    What remains, where and until when is the answer. It cannot be taken back.
    """
    from services.cli import tables
    from services.cli.adapters.erasures import erased

    wanted = [*(request_ids or ()), *_lines(file)]
    if not wanted:
        raise typer.BadParameter("name at least one request", param_hint="REQUEST_ID")
    found = erased(settings(), model, wanted, by)
    if as_json:
        output.result_json(found)
        return
    output.result(f"{found.requests:,} requests of {model} are to be forgotten: {', '.join(found.records)}")
    tables.show(found.listing())


def _lines(file: Path | None) -> list[str]:
    if file is None:
        return []
    try:
        return [line for line in file.read_text(encoding="utf-8").splitlines() if line]
    except UnicodeDecodeError as exc:
        raise typer.BadParameter(f"{file} is not UTF-8", param_hint="--file") from exc
