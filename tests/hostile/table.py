"""Sixty-two hostile inputs: what each is, what its fate must be, and a function that says what its fate is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

COUNT = 62


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of input. `meet` puts it before the real services and returns what became of it, in words."""

    number: int
    what: str
    fate: str
    meet: Callable[[], str]


ROWS: dict[int, Row] = {}


def row(number: int, what: str, fate: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """Enter a function as the one that meets an input."""

    def enter(meet: Callable[[], str]) -> Callable[[], str]:
        assert number not in ROWS, number
        ROWS[number] = Row(number, what, fate, meet)
        return meet

    return enter


def refusals(*attempts: Callable[[], object], by: type[Exception]) -> str:
    """Return how many of the attempts are refused by this error."""
    refused = 0
    for attempt in attempts:
        try:
            attempt()
        except by:
            refused += 1
    return f"{refused} of {len(attempts)} refused"
