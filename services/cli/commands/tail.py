"""`driftline tail`: what is in a topic, as lines of JSON."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import settings
from shared.settings import Settings

if TYPE_CHECKING:
    from services.cli.lines import Sought
    from services.cli.logs import Render
    from shared.log import Reader

TOPICS = ("observations", "alerts", "retraining", "dead-letters", "halves")


def register(app: typer.Typer) -> None:
    """Add `tail`."""
    app.command("tail")(tail)


def tail(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help=f"One of {', '.join(TOPICS)}.")],
    request_id: Annotated[
        str | None, typer.Option(help="Only the rows of this request, with every column (observations, halves).")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The request's model; without it every known model is tried.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Wait for more at the end of the log.")] = False,
    timeout: Annotated[
        float | None, typer.Option(min=0.0, help="With --follow: end after this many seconds without a line.")
    ] = None,
) -> None:
    """Write a topic from its beginning, one JSON document a line."""
    from services.cli.lines import TailTopic, lines
    from shared.adapters.kafka import KafkaReader

    if topic not in TOPICS:
        raise typer.BadParameter(f"{topic!r} is none of {', '.join(TOPICS)}", param_hint="TOPIC")
    shown = TailTopic(topic)
    if request_id is not None and not shown.has_rows:
        raise typer.BadParameter("only observations and halves have rows of requests", param_hint="--request-id")
    if timeout is not None and not follow:
        raise typer.BadParameter("needs --follow", param_hint="--timeout")
    found = settings()
    reader = KafkaReader(found.kafka, "tail")
    try:
        render = lines(shown, None if request_id is None else _sought(reader, found, model, request_id))
        written = 0
        for line in _shown(reader, shown.named(found.topics), render, follow=follow, timeout=timeout):
            output.result(line.decode())
            written += 1
        if request_id is not None and not written:
            output.message(f"no row of request {request_id!r} in {shown.named(found.topics)}")
    finally:
        reader.close()


def _sought(reader: Reader, found: Settings, model: str | None, request_id: str) -> Sought:
    from services.cli.lines import Sought
    from shared.control import read_catalogue
    from shared.identity import IdKey

    key = IdKey(found.id_key.encode())
    models = [model] if model is not None else sorted(read_catalogue(reader, found.topics).current)
    return Sought(frozenset(key.request(name, request_id) for name in models), key.fingerprint)


def _shown(reader: Reader, topic: str, render: Render, *, follow: bool, timeout: float | None) -> Iterator[bytes]:
    from services.cli.logs import following
    from shared.adapters.system_clock import SystemClock
    from shared.control import read_whole

    if follow:
        return following(reader, topic, render, SystemClock(), timeout)
    return chain.from_iterable(render(record) for record in read_whole(reader, topic))
