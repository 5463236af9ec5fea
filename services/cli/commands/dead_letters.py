"""`driftline dead-letters`: what could not be used, and what becomes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import actor, settings
from services.cli.commands.actor_option import ActorOption
from services.cli.commands.moments import moment
from services.cli.dead_letters.coordinates import Coordinates, coordinates_of, log_of
from services.cli.dead_letters.summary import By
from services.cli.exits import Exit
from shared.events.dead_letter import REASONS
from shared.log import TopicPartition

if TYPE_CHECKING:
    from services.cli.dead_letters.selection import Selection

AsJson = Annotated[bool, typer.Option("--json", help="Write the result as JSON.")]
Reason = Annotated[list[str] | None, typer.Option(help="Only letters of this reason; may be repeated.")]
Model = Annotated[list[str] | None, typer.Option(help="Only letters about this model; may be repeated.")]
Topic = Annotated[list[str] | None, typer.Option(help="Only records of this topic; may be repeated.")]
Since = Annotated[
    str | None, typer.Option(metavar="TIME", help="Only what was refused since then: RFC 3339, or so long ago: 2h.")
]
BY = [By.REASON, By.MODEL, By.TOPIC]


def register(app: typer.Typer) -> None:
    """Add `dead-letters` and its commands."""
    group = typer.Typer(help="What could not be used, why, and what to do with it.", no_args_is_help=True)
    group.command("list")(listed)
    group.command("show")(show)
    group.command("replay")(replay)
    group.command("resume")(resume)
    app.add_typer(group, name="dead-letters")


def listed(
    by: Annotated[list[By], typer.Option(help="What letters are put together by; may be repeated.")] = BY,
    reason: Reason = None,
    model: Model = None,
    topic: Topic = None,
    since: Since = None,
    every: Annotated[bool, typer.Option("--all", help="Every group, not the largest only.")] = False,
    as_json: AsJson = False,
) -> None:
    """Count dead letters by what they have in common, with the coordinates of one of each."""
    from services.cli import tables
    from services.cli.adapters.dead_letters import grouped
    from services.cli.dead_letters.summary import table_of

    found = grouped(settings(), _selection(reason, model, topic, since), by)
    if as_json:
        output.result_json(found)
        return
    if not found:
        output.message("no such dead letters")
        return
    listing = table_of(found, by)
    tables.show(listing if every else listing.cut())


def show(
    record: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="As `list` shows it.")],
    payload: Annotated[
        bool, typer.Option("--payload", help="Show the refused record itself, which may hold personal data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: why it was refused, and whether its record is still kept. Exit 1 where there is none."""
    from services.cli.adapters.dead_letters import shown

    found = shown(settings(), _coordinates(record), with_payload=payload)
    if found is None:
        output.message(f"no dead letter of {record}")
        raise typer.Exit(Exit.FAILURE)
    if as_json:
        output.result_json(found)
        return
    for line in found.lines():
        output.result(line)


def replay(
    records: Annotated[
        list[str] | None, typer.Argument(metavar="[TOPIC/PARTITION/OFFSET...]", help="Only these records.")
    ] = None,
    reason: Reason = None,
    model: Model = None,
    topic: Topic = None,
    since: Since = None,
    accept_stale: Annotated[
        bool, typer.Option("--accept-stale", help="Take records that are older than the model's label horizon.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Send; without it, only what would become of them is told.")
    ] = False,
    by: ActorOption = None,
    as_json: AsJson = False,
) -> None:
    """Read refused records again, validate them under what is configured now, and send those that give rows.

    Rows have their original coordinates, so that a second replay changes nothing. Exit 1 where a letter gives no row.
    """
    from services.cli import tables
    from services.cli.adapters.dead_letters import replayed
    from services.cli.dead_letters.replay import table_of, texts_of

    chosen = _selection(reason, model, topic, since, [_coordinates(text) for text in records or ()])
    done = replayed(settings(), chosen, accept_stale=accept_stale, by=actor(by) if yes else None)
    if as_json:
        output.result_json(done)
    else:
        if done.fates:
            tables.show(table_of(done))
        for text in texts_of(done):
            output.message(text)
    if not done.is_complete:
        raise typer.Exit(Exit.FAILURE)


def resume(
    logs: Annotated[list[str], typer.Argument(metavar="TOPIC/PARTITION...", help="As `/readyz` names them.")],
    by: ActorOption = None,
    as_json: AsJson = False,
) -> None:
    """Let a consumer go on with an input that it halted because too much of it was dead letters.

    What the input holds now may all become dead letters; what is written from now on counts anew. Running services go
    on within seconds.
    """
    from services.cli.adapters.dead_letters import resumed

    below = resumed(settings(), [_log(text) for text in logs], actor(by))
    if as_json:
        output.result_json([{"log": f"{t}/{p}", "below": offset} for (t, p), offset in below.items()])
        return
    for (name, partition), offset in below.items():
        output.result(f"{name}/{partition} goes on; its dead letters below offset {offset} are accepted")


def _selection(
    reasons: list[str] | None,
    models: list[str] | None,
    topics: list[str] | None,
    since: str | None,
    coordinates: list[Coordinates] | None = None,
) -> Selection:
    from services.cli.dead_letters.selection import Selection

    for name in reasons or ():
        if name not in REASONS:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(REASONS)}", param_hint="--reason")
    return Selection(
        frozenset(reasons or ()),
        frozenset(models or ()),
        frozenset(topics or ()),
        None if since is None else moment(since, "--since"),
        frozenset(coordinates or ()),
    )


def _coordinates(text: str) -> Coordinates:
    try:
        return coordinates_of(text)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="TOPIC/PARTITION/OFFSET") from exc


def _log(text: str) -> TopicPartition:
    try:
        return log_of(text)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="TOPIC/PARTITION") from exc
