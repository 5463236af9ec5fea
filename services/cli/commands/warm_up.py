"""`driftline baseline warm-up`: what ends the warm-up of a model that has no reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import settings
from services.cli.configuration import read_configuration
from services.cli.exits import Exit


def register(baseline: typer.Typer) -> None:
    """Add the command to the group `baseline`."""
    baseline.command("warm-up")(warm_up)


def warm_up(
    config: Annotated[
        Path | None,
        typer.Argument(metavar="[CONFIG]", help="driftline.yaml: publish its models that warm up first."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Go on until no model warms up.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the result as JSON.")] = False,
    stop_with_parent: Annotated[bool, typer.Option("--stop-with-parent", hidden=True)] = False,
) -> None:
    """Give the models that warm up their baselines: those of which driftline.observations holds enough by now.

    `driftline services run` without a NAME does so by itself. Where services run one by one, this runs beside them, or
    now and then. Exit 1: a baseline cannot be built.
    """
    from services.cli.adapters import hosting, supervisor
    from shared.adapters.catalogue import published

    if stop_with_parent:
        supervisor.stop_with_parent()
    found = settings()
    if config is not None:
        hosting.prepare_warm_ups(found, read_configuration(config))
    if not published(found, "warm-up").warming_up():
        if as_json:
            output.result_json({"learned": {}, "refused": {}, "warming_up": {}})
        else:
            output.result("no model warms up")
        return
    from services.cli.adapters.log_baselines import learned

    outcome = learned(found, wait=wait)
    if as_json:
        output.result_json(outcome)
    else:
        for text in outcome.lines():
            output.result(text)
    if outcome.refused:
        raise typer.Exit(Exit.FAILURE)
