"""`driftline repair`: what to do when a service says that a log has lost records."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import actor, settings
from services.cli.commands.actor_option import ActorOption
from services.cli.exits import Exit


def register(app: typer.Typer) -> None:
    """Add `repair observations`."""
    repair = typer.Typer(help="Repair what a service that ended with code 66 names.", no_args_is_help=True)
    repair.callback()(_group)
    repair.command("observations")(observations)
    app.add_typer(repair, name="repair")


def _group() -> None:
    """Repair what a service that ended with code 66 names."""


def observations(
    shard: Annotated[
        list[int] | None, typer.Option(help="Delete the view of this shard: the joiner writes all its outputs again.")
    ] = None,
    every_shard: Annotated[bool, typer.Option("--every-shard", help="The views of all shards.")] = False,
    checkpoint: Annotated[
        list[int] | None,
        typer.Option(help="Delete the checkpoint of this partition: the detector begins anew where its log begins."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    by: ActorOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
) -> None:
    """Let outputs that `driftline.observations` has lost be written again, from the halves that are kept.

    Nothing is lost by it: outputs that are there already are dropped by the detector, and the joiner may go on running.
    Delete a checkpoint only where the detector says so, and while it is stopped.
    """
    from services.cli.adapters.repair import forget

    found = settings()
    shards = list(range(found.halves_partitions)) if every_shard else _numbered(shard, found.halves_partitions, "shard")
    partitions = _numbered(checkpoint, found.observations_partitions, "checkpoint")
    if not shards and not partitions:
        raise typer.BadParameter("say what to delete: --shard, --every-shard or --checkpoint")
    if not yes and not typer.confirm(f"Delete {_told(shards, partitions)}?", err=True):
        output.message("nothing was deleted")
        raise typer.Exit(Exit.FAILURE)
    forget(found, shards, partitions, actor(by))
    if as_json:
        output.result_json({"ok": True, "views": shards, "checkpoints": partitions})
    else:
        output.result(f"deleted {_told(shards, partitions)}; start the detector again")


def _numbered(given: list[int] | None, count: int, option: str) -> list[int]:
    for number in given or ():
        if not 0 <= number < count:
            raise typer.BadParameter(f"{number} is none of 0 to {count - 1}", param_hint=f"--{option}")
    return sorted(set(given or ()))


def _told(shards: list[int], partitions: list[int]) -> str:
    parts = [("the view of shard", shards), ("the checkpoint of partition", partitions)]
    return " and ".join(f"{what} {', '.join(map(str, numbers))}" for what, numbers in parts if numbers)
