"""Sixty-two hostile inputs: what each is, what its fate must be, and a function that says what its fate is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.settings import Settings

COUNT = 62
Place = Callable[[], Settings]  # a Kafka with a Redis, and topics that nobody else uses; asked for only where needed


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of input. `meet` puts it before the real services and returns what became of it, in words."""

    number: int
    what: str
    fate: str
    meet: Callable[[Place], str]
    is_on_kafka: bool = False


ROWS: dict[int, Row] = {}


def row(number: int, what: str, fate: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """Enter a function as the one that meets an input."""

    def enter(meet: Callable[[], str]) -> Callable[[], str]:
        _enter(Row(number, what, fate, lambda _: meet()))
        return meet

    return enter


def row_on_kafka(number: int, what: str, fate: str) -> Callable[[Callable[[Settings], str]], Callable[[Settings], str]]:
    """Enter a function as the one that meets an input on a real Kafka."""

    def enter(meet: Callable[[Settings], str]) -> Callable[[Settings], str]:
        _enter(Row(number, what, fate, lambda place: meet(place()), is_on_kafka=True))
        return meet

    return enter


def _enter(entered: Row) -> None:
    assert entered.number not in ROWS, entered.number
    ROWS[entered.number] = entered


def refusals(*attempts: Callable[[], object], by: type[Exception]) -> str:
    """Return how many of the attempts are refused by this error."""
    refused = 0
    for attempt in attempts:
        try:
            attempt()
        except by:
            refused += 1
    return f"{refused} of {len(attempts)} refused"
