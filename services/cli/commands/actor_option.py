"""Who does it: the option of every command that leaves an act behind."""

from __future__ import annotations

from typing import Annotated

import typer

from shared.acts import MAX_ACTOR_CHARS


def _checked(given: str | None) -> str | None:
    if given is not None and not (0 < len(given) <= MAX_ACTOR_CHARS and given.isprintable()):
        raise typer.BadParameter(f"1 to {MAX_ACTOR_CHARS} printable characters")
    return given


ActorOption = Annotated[
    str | None,
    typer.Option(
        "--actor", metavar="NAME", callback=_checked, help="Who does this, for `driftline audit`; else the user."
    ),
]
