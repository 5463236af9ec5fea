"""What the commands that start the embedded stack have in common."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from services.devstack.stack import StackFailed

KafkaPort = Annotated[
    int | None,
    typer.Option("--kafka-port", min=1, max=65_535, help="Port of Kafka; without it, 9092 or another that is free."),
]
RedisPort = Annotated[
    int | None,
    typer.Option("--redis-port", min=1, max=65_535, help="Port of Redis; without it, 6379 or another that is free."),
]


def require_stack() -> None:
    """Refuse where Driftline is installed without what the embedded stack needs, as it is in the image.

    Raises:
        StackFailed: says what to install.
    """
    if find_spec("jgo") is None:
        raise StackFailed(
            "the embedded Kafka and Redis are not installed: `pip install '.[stack]'` in Driftline's source adds them,"
            " `make setup` installs everything"
        )
