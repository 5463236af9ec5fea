"""`driftline services run`: all services under one supervisor, or one service in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import override, settings
from services.cli.configuration import read_configuration
from services.cli.exits import Exit
from services.cli.names import DEFINITION_READERS, SERVICES, SHARING

Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME]...", help=f"Some of {', '.join(SERVICES)}; none: all.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add `services run`."""
    services = typer.Typer(help="Run the services.", no_args_is_help=True)
    services.command("run")(run)
    services.callback()(_group)
    app.add_typer(services, name="services")


def _group() -> None:
    """Run the services."""


def run(
    names: Names = None,
    instance: Annotated[
        str | None,
        typer.Option(metavar="I/N", help="Of N joiners or detectors, which one this is: 0/N, 1/N and so on."),
    ] = None,
    restart: Annotated[
        bool,
        typer.Option("--restart", help="Start a service again that ended, unless someone must look at it first."),
    ] = False,
    child: Annotated[bool, typer.Option("--child", hidden=True)] = False,
    stop_with_parent: Annotated[bool, typer.Option("--stop-with-parent", hidden=True)] = False,
) -> None:
    """Run services until SIGTERM or Ctrl-C.

    One NAME runs in this process; several, or none for all, as child processes: when one ends, all end, so that
    whoever supervises this command restarts them together. With --restart they are child processes, too, and one that
    ends is started again. DRIFTLINE_CONFIG says what to watch. Before anything is consumed, baselines are built and
    published where they are missing; without a NAME they are always built, so that a reference file that changed is
    noticed, and models that warm up are given theirs.
    """
    from services.cli.adapters import hosting, supervisor

    chosen = names or list(SERVICES)
    for name in chosen:
        if name not in SERVICES:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(SERVICES)}", param_hint="NAME")
    if instance is not None:
        if len(chosen) != 1 or chosen[0] not in SHARING:
            raise typer.BadParameter(f"is for one NAME, {' or '.join(SHARING)}", param_hint="--instance")
        override("DRIFTLINE_INSTANCE", instance)
    if child or stop_with_parent:
        supervisor.stop_with_parent()
    warm_up = not child and _prepare(chosen, rebuild=not names)
    if len(chosen) == 1 and not restart:
        raise typer.Exit(hosting.run_here(chosen[0]))
    ended = hosting.supervise(chosen, warm_up=warm_up and not names, restarts=restart)
    if ended.culprit is not None:
        output.message(f"driftline: {ended.culprit} ended with code {ended.code}; all services are stopped")
        raise typer.Exit(Exit.FAILURE)


def _prepare(chosen: list[str], *, rebuild: bool) -> bool:
    """Check what the services need, once for all of them; a child finds it done. Return whether a model warms up."""
    from services.cli.adapters import hosting

    found = settings()
    configuration = read_configuration(Path(found.config))
    if not found.id_key:
        output.message("warning: DRIFTLINE_ID_KEY is empty: request ids can be guessed from their hashes")
    with hosting.seen_to_start(chosen, found) as seen:
        hosting.await_access(seen, found)
        hosting.check_topics(found, configuration, chosen)
        if not DEFINITION_READERS.isdisjoint(chosen):
            hosting.prepare(found, configuration, rebuild=rebuild)
    return any(spec.warm_up is not None for spec in configuration.monitors.models.values())
