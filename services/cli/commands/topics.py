"""`driftline topics`: create what is missing, check what exists, and who may use it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import settings
from services.cli.commands.acls import Named, Prefix, Roles, acls
from services.cli.configuration import read_configuration
from services.cli.exits import Exit
from services.cli.principals import PREFIX, principals, sentence, wanted
from shared.topics import TopicSpec

Config = Annotated[
    Path | None,
    typer.Option("--config", help="driftline.yaml: retention then follows its longest label horizon and warm-up."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write the result as JSON.")]


def register(app: typer.Typer) -> None:
    """Add `topics create`, `topics check` and `topics acls`."""
    topics = typer.Typer(help="Create or check every topic of the installation.", no_args_is_help=True)
    topics.command("create")(create)
    topics.command("check")(check)
    topics.command("acls")(acls)
    app.add_typer(topics, name="topics")


def create(config: Config = None, as_json: AsJson = False) -> None:
    """Create the topics that are missing. Existing topics are never changed; what differs is reported (exit 1)."""
    from shared.adapters.kafka import KafkaAdmin

    specs = _specs(config)
    admin = KafkaAdmin(settings().kafka, "topics")
    created = admin.create(specs)
    if not as_json:
        for name in created:
            output.result(f"created {name}")
    _report(admin.check(specs), as_json=as_json, created=created)


def check(
    config: Config = None,
    with_acls: Annotated[bool, typer.Option("--acls", help="Tell which principals lack what.")] = False,
    role: Roles = None,
    principal_prefix: Prefix = PREFIX,
    principal: Named = None,
    as_json: AsJson = False,
) -> None:
    """Compare the topics with what the services need; exit 1 when something differs."""
    from shared.adapters.kafka import KafkaAdmin
    from shared.adapters.kafka.acls import KafkaAcls

    found = settings()
    differences = KafkaAdmin(found.kafka, "topics").check(_specs(config))
    if with_acls:
        grants = wanted(found, principals(role or [], principal_prefix, principal or []))
        lacking = KafkaAcls(found.kafka).missing(grants)
        differences += [f"missing: {sentence(grant, grants[grant])}" for grant in lacking]
    _report(differences, as_json=as_json, created=[])


def _specs(config: Path | None) -> list[TopicSpec]:
    topics = settings().topics
    return topics.specs() if config is None else read_configuration(config).topics(topics)


def _report(differences: list[str], *, as_json: bool, created: list[str]) -> None:
    if as_json:
        output.result_json({"ok": not differences, "created": created, "differences": differences})
    else:
        for difference in differences:
            output.result(difference)
        if not differences:
            output.result("every topic is as it must be")
    if differences:
        raise typer.Exit(Exit.FAILURE)
