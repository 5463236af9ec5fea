"""Places where a test makes a process die: `joiner.before_cas:exit@5` dies at the fifth pass. Empty in production."""

from __future__ import annotations

from collections.abc import Callable

from shared.errors import ConfigurationError


class Failpoints:
    """Counts passes through named places and acts on the configured ones."""

    __slots__ = ("_act", "_hits", "_plan")

    def __init__(self, plan: str = "", act: Callable[[str], None] | None = None) -> None:
        self._plan = dict(_parse(item) for item in plan.split(",") if item)
        self._hits: dict[str, int] = {}
        self._act = act or _raise

    def hit(self, place: str) -> None:
        """Pass `place`; dies here when it is planned."""
        if place not in self._plan:
            return
        self._hits[place] = self._hits.get(place, 0) + 1
        if self._hits[place] == self._plan[place]:
            self._act(place)


class Died(BaseException):
    """What a planned death raises in process, where killing it would end the test."""


def _raise(place: str) -> None:
    raise Died(place)


def _parse(item: str) -> tuple[str, int]:
    place, _, rest = item.partition(":")
    action, _, count = rest.partition("@")
    if not place or action != "exit" or not count.isdigit() or int(count) < 1:
        raise ConfigurationError("DRIFTLINE_FAIL", f"{item!r}: write <place>:exit@<n>")
    return place, int(count)
