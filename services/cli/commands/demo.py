"""`driftline demo`: see it work on recorded data, with real servers, in one command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import cache, settings, until_asked_to_stop
from services.cli.commands.stack_options import KafkaPort, RedisPort, require_stack
from services.cli.exits import Exit
from shared.settings import Settings

if TYPE_CHECKING:
    from services.cli.adapters.demo import Compare, Prove


def register(app: typer.Typer) -> None:
    """Add `demo`."""
    app.command("demo")(demo)


def demo(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="A folder that is empty or does not exist; without it, a temporary one."),
    ] = None,
    speed: Annotated[
        float | None,
        typer.Option(min=1.0, help="Times real time of the stream; without it, as fast as the services follow."),
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Only the first so many predictions of each model, and their labels.")
    ] = None,
    kafka_port: KafkaPort = None,
    redis_port: RedisPort = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep everything up after the summary, until Ctrl-C.")] = False,
    naive_rules: Annotated[
        bool,
        typer.Option(
            "--naive-rules",
            help="Also print how often common rules would have paged on the same events: PSI > 0.1 and > 0.2, KS and"
            " chi-squared p < 0.05, a drop of accuracy by 5 points (an RMSE 5 % up) per 1,000 rows, river's ADWIN and"
            " Page-Hinkley with their defaults on raw values. One column over its threshold once is one page.",
        ),
    ] = False,
    chaos: Annotated[
        bool,
        typer.Option(
            "--chaos",
            help="Meanwhile kill -9 every service, Kafka and Redis, one after another, take the end of Redis's data and"
            " then all of it; at the end `driftline verify` must find nothing lost and nothing counted twice.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the summary as JSON.")] = False,
) -> None:
    """Run everything on two recorded models: 58,734 predictions and their labels, with drift in both.

    Starts a real Kafka and a real Redis, all services, and ordinary producers, and ends when all is done. Exit 1 if an
    event is not accounted for, or a verification finds a difference.
    """
    require_stack()
    from rich.console import Console

    from services.cli.adapters.demo import DemoOptions, finished_demo
    from services.cli.demo.display import display
    from services.cli.demo.naive_table import show
    from services.cli.demo.summary import lines

    if data is not None and data.exists() and any(data.iterdir()):
        raise typer.BadParameter(f"{data} is not empty; the demo begins with nothing", param_hint="--data")
    found = settings()
    options = DemoOptions(
        data=data,
        speed=speed,
        rows=rows,
        kafka_port=kafka_port,
        redis_port=redis_port,
        cache=cache(found),
        compare=_comparison() if naive_rules else None,
        prove=_proof() if chaos else None,
    )
    with finished_demo(options, found, display(Console(stderr=True))) as (summary, here):
        if as_json:
            output.result_json(summary, indent=True)
        else:
            for line in lines(summary):
                output.result(line)
            if summary.naive_rules is not None:
                show(summary.naive_rules, Console())
        if keep:
            for line in _to_try(here):
                output.message(line)
            until_asked_to_stop()
    if not summary.balanced or (summary.chaos is not None and summary.chaos.verified != "clean"):
        raise typer.Exit(Exit.FAILURE)


def _comparison() -> Compare:
    from services.cli.adapters.naive_rules import compared  # numerics, which the demo itself does not need

    return compared


def _proof() -> Prove:
    from services.cli.adapters.verification import verified  # the same

    return verified


def _to_try(here: Settings) -> list[str]:
    return [
        "",
        "Everything is still up; Ctrl-C ends it. In another shell:",
        f"  export DRIFTLINE_BOOTSTRAP={here.bootstrap} DRIFTLINE_REDIS_URL={here.redis_url}",
        "  driftline tail alerts | head -n 1",
        "  driftline tail observations --request-id car_loan-75000",
        "  driftline verify",
        f"  kcat -b {here.bootstrap} -t {here.topics.retraining} -C -e",
    ]
