"""Grants as a person gives them: whose they are, and as the commands of Kafka and of Redis."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from shared.errors import ConfigurationError
from shared.grants import ROLES, Grant, grants_of
from shared.settings import Settings

PREFIX = "driftline-"


def principals(roles: Sequence[str], prefix: str, named: Sequence[str]) -> dict[str, str]:
    """Return the principal of each role: `User:<prefix><role>`, or what `named`, a list of `role=User:…`, says.

    Raises:
        ConfigurationError: no such role, or not of that form.
    """
    given = dict(text.partition("=")[::2] for text in named)
    for role, principal in given.items():
        if not principal.startswith("User:"):
            raise ConfigurationError("--principal", f"{role}: is ROLE=User:NAME")
    for role in (*roles, *given):
        if role not in ROLES:
            raise ConfigurationError("--role", f"{role} is none of {', '.join(ROLES)}")
    return {role: given.get(role, f"User:{prefix}{role}") for role in roles or ROLES}


def wanted(settings: Settings, of_roles: Mapping[str, str]) -> dict[Grant, str]:
    """Return every grant with the principal that it is for."""
    return {grant: principal for role, principal in of_roles.items() for grant in grants_of(role, settings)}


def sentence(grant: Grant, principal: str) -> str:
    """Return a grant in words."""
    return f"{principal} {grant.operation} {grant.resource} {grant.name}{'*' if grant.is_prefix else ''}"


def kafka_commands(bootstrap: str, grants: Mapping[Grant, str]) -> Iterator[str]:
    """Yield commands of Kafka's own tool, one a principal and thing."""
    tool = f"kafka-acls.sh --bootstrap-server {bootstrap} --command-config admin.properties --add"
    for (_, resource, name, is_prefix), same in groupby(
        sorted(grants), key=lambda grant: (grant.role, grant.resource, grant.name, grant.is_prefix)
    ):
        found = list(same)
        operations = " ".join(f"--operation {grant.operation}" for grant in found)
        pattern = " --resource-pattern-type prefixed" if is_prefix else ""
        yield f"{tool} --allow-principal '{grants[found[0]]}' {operations} --{resource} '{name}'{pattern}"
