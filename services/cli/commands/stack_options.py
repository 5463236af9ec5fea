"""Options of the commands that start the embedded stack."""

from __future__ import annotations

from typing import Annotated

import typer

KafkaPort = Annotated[
    int | None,
    typer.Option("--kafka-port", min=1, max=65_535, help="Port of Kafka; without it, 9092 or another that is free."),
]
RedisPort = Annotated[
    int | None,
    typer.Option("--redis-port", min=1, max=65_535, help="Port of Redis; without it, 6379 or another that is free."),
]
