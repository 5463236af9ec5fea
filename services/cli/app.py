"""The application: every command, in the order in which a new user meets them."""

from __future__ import annotations

import typer

from services.cli.commands import (
    acls,
    audit,
    backtest,
    baseline,
    bench,
    check,
    dead_letters,
    demo,
    dev,
    erase,
    health,
    repair,
    services,
    tail,
    topics,
    trace,
    verify,
)


def application() -> typer.Typer:
    """Return the typer application; imports of servers and numerics wait until a command needs them."""
    app = typer.Typer(
        name="driftline",
        help="Watch machine-learning models: join predictions with labels on Kafka, find drift, publish alerts.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    commands = (
        demo,
        dev,
        backtest,
        check,
        baseline,
        topics,
        acls,
        services,
        health,
        tail,
        dead_letters,
        verify,
        trace,
        audit,
        erase,
        repair,
        bench,
    )
    for command in commands:
        command.register(app)
    return app
