"""States that an earlier release has saved, in the form that this one reads.

A state begins with its version, which moves whenever the meaning of anything in it does. A release that moves it brings
the migration from the version before, so that a detector goes on where the one before it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from shared.errors import Corrupt, Newer
from shared.versions import version_after

VERSION = 1
MIGRATIONS: Mapping[int, Callable[[bytes], bytes]] = {}  # by the version that each one reads; it returns the next one
_NAME = b"driftline-detector/"
_LONGEST = len(_NAME) + 12  # of a name, a version and a line feed


def headed(body: bytes, version: int = VERSION) -> bytes:
    """Return a state with its version in front."""
    return b"%b%d\n%b" % (_NAME, version, body)


def written_version(state: bytes) -> int | None:
    """Return with which version a state was saved; None where none is there."""
    name, line, _ = state[:_LONGEST].partition(b"\n")
    return version_after(_NAME, name) if line else None


def current(
    state: bytes, migrations: Mapping[int, Callable[[bytes], bytes]] = MIGRATIONS, version: int = VERSION
) -> bytes:
    """Return what follows the version, migrated to `version`.

    Raises:
        Corrupt: no version is there, or one from which nothing leads to this one.
        Newer: a later release saved it.
    """
    found, body = written_version(state), state.partition(b"\n")[2]
    if found is None:
        raise Corrupt("no state of a detector")
    if found > version:
        raise Newer(f"a state of version {found}, this release reads up to {version}: start the release that saved it")
    for step in range(found, version):
        if step not in migrations:
            raise Corrupt(f"a state of version {found}, which this release does not read any more")
        body = migrations[step](body)
    return body
