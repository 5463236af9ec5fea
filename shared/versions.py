"""The version that stands in front of bytes of ours, so that a release knows what a later one has written."""

from __future__ import annotations

_MOST_DIGITS = 12


def version_after(name: bytes, head: bytes) -> int | None:
    """Return the version in `<name><version>`; None where `head` is something else."""
    digits = head.removeprefix(name)
    return int(digits) if digits != head and digits.isdigit() and len(digits) <= _MOST_DIGITS else None
