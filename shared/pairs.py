"""`pairs:` and `joint:` in `driftline.yaml`: which columns are watched two by two."""

from __future__ import annotations

from typing import Literal

from shared.errors import ConfigurationError, Malformed
from shared.events.block import LABEL
from shared.values import identifier

MAX_PAIRS = 64

Pairs = Literal["auto"] | list[tuple[str, str]]

_SIGN = " × "
TRUTHS = (LABEL, "error")  # second columns that only a label tells


def pair_name(first: str, second: str) -> str:
    """Return what a pair is called everywhere: among culprits, in windows, in rules."""
    return f"{first}{_SIGN}{second}"


def columns_of(name: str) -> list[str]:
    """Return the columns of a pair by its name; a name of no pair is its own."""
    return name.split(_SIGN)


def is_with_truth(name: str) -> bool:
    """Tell whether a name is of a pair whose second column needs labels."""
    return name.endswith(tuple(f"{_SIGN}{truth}" for truth in TRUTHS))


def check_pairs(path: str, pairs: Pairs | None) -> None:
    """Refuse pairs that cannot be meant, whatever the columns are.

    Raises:
        ConfigurationError: names the pair's path.
    """
    if pairs is None or pairs == "auto":
        return
    if not pairs:
        raise ConfigurationError(path, "names no pair; write auto, or leave it out")
    if len(pairs) > MAX_PAIRS:
        raise ConfigurationError(path, f"{len(pairs)} pairs; at most {MAX_PAIRS}")
    seen: set[frozenset[str]] = set()
    for number, (first, second) in enumerate(pairs):
        where = f"{path}.{number}"
        for name in (first, second):
            _check_name(where, name)
        if first == second:
            raise ConfigurationError(where, f"a pair is two columns, not {first!r} twice")
        if frozenset((first, second)) in seen:
            raise ConfigurationError(where, f"the pair {pair_name(first, second)} is given twice")
        seen.add(frozenset((first, second)))


def _check_name(path: str, name: str) -> None:
    try:
        identifier(name)
    except Malformed as exc:
        raise ConfigurationError(path, f"{name!r}: {exc.detail}") from exc
