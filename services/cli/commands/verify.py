"""`driftline verify`: whether what an installation wrote is what one thread makes of its logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import settings
from services.cli.commands.moments import moment
from services.cli.exits import Exit

if TYPE_CHECKING:
    from services.cli.verify.report import Outcome

AsJson = Annotated[bool, typer.Option("--json", help="Write the result as JSON.")]


def register(app: typer.Typer) -> None:
    """Add `verify` and `verify alert`."""
    verify = typer.Typer(invoke_without_command=True)
    verify.callback()(everything)
    verify.command("alert")(alert)
    app.add_typer(verify, name="verify")


def everything(
    context: typer.Context,
    since: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="checkpoint|TIME",
            help="Fold the observations from the newest checkpoint in their topic, or from the newest one that was "
            "written by TIME: RFC 3339, or so long ago: 24h.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fold the logs again in one thread, and compare what the services wrote and keep with that.

    Needs no pause: services may run. Changes nothing. Exit 1 where something differs, 5 where nothing differs but a
    check could not be made; what the logs no longer reach back to is told, and is no failure.
    """
    if context.invoked_subcommand is not None:
        return
    from services.cli.adapters.verification import verified
    from services.cli.tables import show
    from services.cli.verify.lines import table_of, texts_of

    report = verified(settings(), None if since is None else _before(since))
    if as_json:
        output.result_json(report)
    else:
        show(table_of(report))
        for text in texts_of(report):
            output.result(text)
    _end(report.outcome)


def alert(
    identity: Annotated[str, typer.Argument(metavar="ID", help="The `id` of an alert, or an `incident_id`.")],
    as_json: AsJson = False,
) -> None:
    """Compute the numbers of an alert again from its own record and the baseline that it names.

    Of an incident, those of all its events. Exit 1 where a number differs, 5 where no value follows from the record.
    """
    from services.cli.adapters.verification import recounted
    from services.cli.tables import show
    from services.cli.verify.lines import table_of_numbers, texts_of_numbers
    from services.cli.verify.told import outcome_of

    events = recounted(settings(), identity)
    if as_json:
        output.result_json({"outcome": outcome_of(events), "events": events})
    else:
        for event in events:
            output.result(f"{event.type} {event.id} of incident {event.incident_id}, {event.at}")
            show(table_of_numbers(event))
        for text in texts_of_numbers(events):
            output.result(text)
    _end(outcome_of(events))


def _before(text: str) -> int:
    from services.cli.verify.starts import NEWEST

    return NEWEST if text == "checkpoint" else moment(text, "--from")


def _end(outcome: Outcome) -> None:
    codes = {"clean": Exit.OK, "different": Exit.FAILURE, "undecided": Exit.UNDECIDED}
    if codes[outcome] is not Exit.OK:
        raise typer.Exit(codes[outcome])
