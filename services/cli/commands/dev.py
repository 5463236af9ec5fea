"""`driftline dev`: the embedded stack, empty, until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import cache, settings, until_asked_to_stop
from services.cli.commands.stack_options import KafkaPort, RedisPort, require_stack
from services.cli.principals import PREFIX
from shared.settings import Settings


def register(app: typer.Typer) -> None:
    """Add `dev`."""
    app.command("dev")(dev)


def dev(
    data: Annotated[
        Path | None, typer.Option("--data", help="Keep the stack's data here; without it, nothing stays.")
    ] = None,
    kafka_port: KafkaPort = None,
    redis_port: RedisPort = None,
    secure: Annotated[
        bool,
        typer.Option("--secure", help="With TLS, passwords and access control lists; a principal for each role."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the description as JSON.")] = False,
) -> None:
    """Start a real Kafka and a real Redis with every topic, and stay until Ctrl-C."""
    require_stack()
    from services.devstack.adapters.principals import enrol
    from services.devstack.adapters.stack import running_stack
    from services.devstack.stack import StackOptions
    from shared.adapters.kafka import KafkaAdmin

    found = settings()
    options = StackOptions(cache=cache(found), data=data, kafka_port=kafka_port, redis_port=redis_port, secure=secure)
    with running_stack(options, output.message) as stack:
        KafkaAdmin(stack.administrator.kafka, "dev").create(found.topics.specs())
        if stack.files is not None:
            here = found.of_open_servers(stack.bootstrap, stack.redis_url)
            enrol(stack.administrator, here, stack.files, prefix=PREFIX)
        if as_json:
            output.result_json(stack.description)
        else:
            for name, value in _given(stack.administrator):
                output.result(f"export {name}={value}")
        output.message(f"Kafka {stack.kafka_version} and Redis {stack.redis_version} run; data in {stack.data}.")
        if stack.files is not None:
            output.message(f"Passwords of the administrator and of a principal for each role: {stack.files.folder}")
        output.message("Give the lines above to another shell. Ctrl-C stops both.")
        until_asked_to_stop()


def _given(settings: Settings) -> list[tuple[str, str]]:
    """Return the variables that say where the servers are and who we are there."""
    usual = Settings().environment()
    always = ("DRIFTLINE_BOOTSTRAP", "DRIFTLINE_REDIS_URL")
    return [(name, value) for name, value in settings.environment().items() if name in always or value != usual[name]]
