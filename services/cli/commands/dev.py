"""`driftline dev`: the embedded stack, empty, until Ctrl-C."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import cache, settings, until_asked_to_stop
from services.cli.commands.stack_options import KafkaPort, RedisPort, require_stack


def register(app: typer.Typer) -> None:
    """Add `dev`."""
    app.command("dev")(dev)


def dev(
    data: Annotated[
        Path | None, typer.Option("--data", help="Keep the stack's data here; without it, nothing stays.")
    ] = None,
    kafka_port: KafkaPort = None,
    redis_port: RedisPort = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write the description as JSON.")] = False,
) -> None:
    """Start a real Kafka and a real Redis with every topic, and stay until Ctrl-C."""
    require_stack()
    from services.devstack.adapters.stack import running_stack
    from services.devstack.stack import StackOptions
    from shared.adapters.kafka import KafkaAdmin

    found = settings()
    options = StackOptions(cache=cache(found), data=data, kafka_port=kafka_port, redis_port=redis_port)
    with running_stack(options, output.message) as stack:
        here = found.of_open_servers(stack.bootstrap, stack.redis_url)
        KafkaAdmin(here.kafka, "dev").create(here.topics.specs())
        if as_json:
            output.result_json(stack.description)
        else:
            output.result(f"export DRIFTLINE_BOOTSTRAP={stack.bootstrap}")
            output.result(f"export DRIFTLINE_REDIS_URL={stack.redis_url}")
        output.message(f"Kafka {stack.kafka_version} and Redis {stack.redis_version} run; data in {stack.data}.")
        output.message("Give the two lines above to another shell. Ctrl-C stops both.")
        until_asked_to_stop()
