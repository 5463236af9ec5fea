"""A version is read where it stands alone behind its name, and nowhere else."""

from __future__ import annotations

import pytest

from shared.versions import version_after


def test_a_version_stands_behind_its_name() -> None:
    assert version_after(b"driftline/", b"driftline/12") == 12


@pytest.mark.parametrize(
    "head", [b"", b"12", b"driftline/", b"driftline/-1", b"driftline/1 ", b"driftline/" + b"9" * 13]
)
def test_what_begins_otherwise_has_none(head: bytes) -> None:
    assert version_after(b"driftline/", head) is None
