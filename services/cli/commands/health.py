"""`driftline health`: how the services of this machine do, for people, scripts and container health checks."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import settings
from services.cli.exits import Exit
from services.cli.names import SERVICES

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help=f"Some of {', '.join(SERVICES)}; none: all.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add `health`."""
    app.command("health")(health)


def health(
    names: Names = None,
    live: Annotated[
        bool, typer.Option("--live", help="Ask /livez, whether a service is worth keeping, not whether it is at work.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the answers as JSON.")] = False,
) -> None:
    """Ask services whether they do their work (/readyz). Exit 1 if one says no or does not answer.

    DRIFTLINE_HEALTH_HOST and DRIFTLINE_HEALTH_PORT say where they are asked, as they say where services answer.
    """
    from services.cli.adapters.health import address, ask

    chosen = names or list(SERVICES)
    for name in chosen:
        if name not in SERVICES:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(SERVICES)}", param_hint="NAME")
    found = settings()
    where = {name: address(found, name) for name in chosen}
    answers = {name: ask(where[name], "livez" if live else "readyz") for name in chosen}
    if as_json:
        output.result_json(answers)
    else:
        width = max(map(len, chosen))
        for name, answer in answers.items():
            if answer is None:
                said = f"no answer at {where[name]}"
            else:
                said = f"{answer.state} for {answer.seconds:g} s" + (f": {answer.reason}" if answer.reason else "")
            output.result(f"{name:<{width}}  {said}")
    if not all(answer is not None and answer.ok for answer in answers.values()):
        raise typer.Exit(Exit.FAILURE)
