"""Places where a test makes a process fail: `joiner.before_cas:exit@5` dies at the fifth pass. Empty in production."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from shared.errors import ConfigurationError


class Action(StrEnum):
    """What happens at a place."""

    EXIT = "exit"  # the process is gone, as after `kill -9`
    STOP = "stop"  # it stands still, librdkafka's threads included, until someone lets it go on
    RAISE = "raise"  # an error that nobody has foreseen


_ACTIONS = frozenset(map(str, Action))


class Planned(NamedTuple):
    """What is to happen, and at which pass."""

    action: Action
    at: int


Act = Callable[[Action, str], None]


class Failpoints:
    """Counts passes through named places and acts on the configured ones."""

    __slots__ = ("_act", "_hits", "_plan")

    def __init__(self, plan: str = "", act: Act | None = None) -> None:
        self._plan = dict(_parse(item) for item in plan.split(",") if item)
        self._hits: dict[str, int] = {}
        self._act = act or _in_process

    def hit(self, place: str) -> None:
        """Pass `place`; fails here when it is planned."""
        planned = self._plan.get(place)
        if planned is None:
            return
        self._hits[place] = self._hits.get(place, 0) + 1
        if self._hits[place] == planned.at:
            self._act(planned.action, place)


class Died(BaseException):
    """What a planned death raises in process, where killing it would end the test."""


class Unforeseen(Exception):
    """What a place raises that is to raise: no error of ours, so that it is met as a bug is."""


def _in_process(action: Action, place: str) -> None:
    raise Unforeseen(place) if action is Action.RAISE else Died(place)


def _parse(item: str) -> tuple[str, Planned]:
    place, _, rest = item.partition(":")
    action, _, count = rest.partition("@")
    if not place or action not in _ACTIONS or not count.isdigit() or int(count) < 1:
        raise ConfigurationError("DRIFTLINE_FAIL", f"{item!r}: write <place>:<{'|'.join(Action)}>@<n>")
    return place, Planned(Action(action), int(count))
