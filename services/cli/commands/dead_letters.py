"""`driftline dead-letters`: what could not be used, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import settings

if TYPE_CHECKING:
    from shared.log import TopicPartition

AsJson = Annotated[bool, typer.Option("--json", help="Write the result as JSON.")]


def register(app: typer.Typer) -> None:
    """Add `dead-letters` and its commands."""
    group = typer.Typer(help="What could not be used, why, and what to do with it.", no_args_is_help=True)
    group.command("resume")(resume)
    app.add_typer(group, name="dead-letters")


def resume(
    logs: Annotated[list[str], typer.Argument(metavar="TOPIC/PARTITION...", help="As `/readyz` names them.")],
    as_json: AsJson = False,
) -> None:
    """Let a consumer go on with an input that it halted because too much of it was dead letters.

    What the input holds now may all become dead letters; what is written from now on counts anew. Running services go
    on within seconds.
    """
    from services.cli.adapters.dead_letters import resumed

    below = resumed(settings(), [_log(text) for text in logs])
    if as_json:
        output.result_json([{"log": f"{t}/{p}", "below": offset} for (t, p), offset in below.items()])
        return
    for (topic, partition), offset in below.items():
        output.result(f"{topic}/{partition} goes on; its dead letters below offset {offset} are accepted")


def _log(text: str) -> TopicPartition:
    from services.cli.dead_letters.coordinates import log_of

    try:
        return log_of(text)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="TOPIC/PARTITION") from exc
