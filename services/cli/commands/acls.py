"""`driftline topics acls` and `driftline redis acl`: who may do what, to read, to run elsewhere, or to give at once."""

from __future__ import annotations

from typing import Annotated

import typer

from services.cli import output
from services.cli.adapters.environment import settings
from services.cli.principals import PREFIX, kafka_commands, principals, sentence, wanted
from shared.grants import ROLES, redis_grants

Roles = Annotated[
    list[str] | None,
    typer.Option("--role", help=f"Only this one; again for others. Of {', '.join(ROLES)}.", show_default=False),
]
Prefix = Annotated[str, typer.Option("--principal-prefix", help="A role's principal is User:PREFIX and its name.")]
Named = Annotated[
    list[str] | None,
    typer.Option(
        "--principal",
        metavar="ROLE=User:NAME",
        help="The principal of a role that is named otherwise, as one of a certificate is.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add `redis acl`."""
    redis = typer.Typer(help="What Redis must allow.", no_args_is_help=True)
    redis.command("acl")(redis_acl)
    redis.callback()(_group)
    app.add_typer(redis, name="redis")


def _group() -> None:
    """Show what Redis must allow."""


def acls(
    role: Roles = None,
    principal_prefix: Prefix = PREFIX,
    principal: Named = None,
    commands: Annotated[bool, typer.Option("--commands", help="Write commands of Kafka's own tool.")] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Give the grants, as a principal that may.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write the grants as JSON.")] = False,
) -> None:
    """Show what each role may do on Kafka, and no more: one principal a role. `--apply` grants it."""
    found = settings()
    grants = wanted(found, principals(role or [], principal_prefix, principal or []))
    if apply:
        from shared.adapters.kafka.acls import KafkaAcls

        KafkaAcls(found.kafka).apply(grants)
        output.message(f"granted: {len(grants)}")
    if as_json:
        output.result_json(
            [
                {
                    "role": grant.role,
                    "principal": who,
                    "operation": grant.operation,
                    "resource": grant.resource,
                    "name": grant.name,
                    "pattern": "prefixed" if grant.is_prefix else "literal",
                }
                for grant, who in grants.items()
            ]
        )
    elif commands:
        for command in kafka_commands(found.bootstrap, grants):
            output.result(command)
    elif not apply:
        for grant, who in grants.items():
            output.result(sentence(grant, who))


def redis_acl(
    user_prefix: Annotated[str, typer.Option("--user-prefix", help="A role's user is PREFIX and its name.")] = PREFIX,
    as_json: Annotated[bool, typer.Option("--json", help="Write the grants as JSON.")] = False,
) -> None:
    """Write the commands that make a user of Redis for each role, with no more than it needs, but for its password."""
    grants = redis_grants(settings())
    if as_json:
        output.result_json([{"role": one.role, "keys": one.patterns, "commands": one.commands} for one in grants])
        return
    for grant in grants:
        output.result(grant.rule(f"{user_prefix}{grant.role}"))
    output.message("Give each a password: append >PASSWORD, or # and the SHA-256 of it. Then: ACL SETUSER default off")
