"""What the page of security lists is what is granted."""

from __future__ import annotations

from shared.grants import ROLES, Operation, Resource, grants_of
from shared.settings import Settings
from shared.topics import Topics
from tests.kit.pages import PAGES, names, table

EVERYTHING = {spec.name for spec in Topics().specs()}


def granted(role: str, operation: Operation) -> set[str]:
    found = [grant for grant in grants_of(role, Settings()) if grant.resource is Resource.TOPIC]
    return {grant.name for grant in found if grant.operation is operation}


def test_every_role_is_listed_with_what_it_reads_and_writes() -> None:
    rows = {names(row[0])[0]: row[1:] for row in table(PAGES["docs/security.md"], "role")}

    assert tuple(rows) == ROLES
    for role, (reads, writes) in rows.items():
        assert granted(role, Operation.READ) == (EVERYTHING if reads == "everything" else set(names(reads)))
        assert granted(role, Operation.WRITE) == set(names(writes))
