"""`driftline baseline accept`, `undo` and `list`: what is normal, who said so, and the way back."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import actor, settings
from services.cli.commands.actor_option import ActorOption
from shared.acts import ActKind

AsJson = Annotated[bool, typer.Option("--json", help="Write the result as JSON.")]


def register(baseline: typer.Typer) -> None:
    """Add the commands to the group `baseline`."""
    baseline.command("accept")(accept)
    baseline.command("undo")(undo)
    baseline.command("list")(show)


def accept(
    incident: Annotated[str, typer.Argument(metavar="INCIDENT", help="The `incident_id` of an open incident.")],
    reason: Annotated[str, typer.Option(help="Why this is the new normal; kept with the baseline, told to everyone.")],
    columns: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these columns; the others keep their baseline.")
    ] = None,
    by: ActorOption = None,
    as_json: AsJson = False,
) -> None:
    """Accept an open incident: what was served since its onset becomes the baseline.

    The detector closes the incident with the model's next predictions, as `accepted`, and watches for changes from
    there. `driftline baseline undo MODEL` is the way back.
    """
    from services.cli.adapters import hosting, log_baselines
    from services.cli.armed import report
    from services.cli.stories import source

    wanted = tuple(dict.fromkeys(name.strip() for name in (columns or "").split(",") if name.strip()))
    accepted = log_baselines.accepted(settings(), incident, reason, wanted)
    definition = accepted.publication.definition
    for name, why in accepted.disarmed.items():
        output.message(f"warning: {name} could page on all traffic and no longer can: {why}")
    hosting.publish(
        settings(),
        lambda _: [accepted.publication],
        ActKind.ACCEPT,
        actor(by),
        incident_id=incident,
        reason=reason.strip(),
    )
    if as_json:
        output.result_json(
            {"definition": definition.hash, "built_from": accepted.rows, "baseline": report(accepted.baseline)}
        )
        return
    output.result(f"{definition.model}: {source(accepted.rows)}")
    output.result(f"incident {incident} closes as accepted with the next predictions of {definition.model}")


def undo(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Whose baseline to take back.")],
    by: ActorOption = None,
) -> None:
    """Publish the definition before the current one again: its baseline, under the configuration of now."""
    from services.cli.adapters import hosting, log_baselines

    before = log_baselines.undoing(settings(), model)
    hosting.publish(settings(), lambda _: [before], ActKind.UNDO, actor(by))
    output.result(
        f"{model}: the baseline is {before.definition.baseline_hash} again, with the model's next predictions"
    )


def show(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="Only this model.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:
    """List published baselines, the newest first: from which rows they are, and which incidents they accept."""
    from services.cli.adapters import log_baselines
    from services.cli.stories import story_lines

    found = log_baselines.told(settings(), model)
    if as_json:
        output.result_json(found)
        return
    for text in story_lines(found):
        output.result(text)
    if not found:
        output.message("no baseline is published" + ("" if model is None else f" of {model}"))
