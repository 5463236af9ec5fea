"""Features that producers send and no configuration knows: nobody watches them, so that someone must be told."""

from __future__ import annotations

from collections.abc import Container, Iterator

import msgspec

from services.detector.watchdogs.columns import GONE_MS
from shared.events.alert import NotWatched, Unwatched
from shared.events.news import UnknownFeatures

MAX_NAMES = 64  # of a model; more of them are a number

_WHY = "producers send it, and no configuration knows it"


class UnknownNames(msgspec.Struct):
    """Those of one model. Consumers tell of them again while they come."""

    names: dict[str, int] = {}  # to the witnessed time when it was told last
    more: int = 0  # others, at least
    more_at: int = 0  # witnessed time

    def take(self, told: UnknownFeatures, witnessed: int) -> None:
        """Take what a consumer tells."""
        over = told.more
        for name in told.names:
            if name in self.names or len(self.names) < MAX_NAMES:
                self.names[name] = witnessed
            else:
                over += 1
        if over:
            self.more = max(self.more, over)
            self.more_at = witnessed

    def forget(self, known: Container[str], witnessed: int) -> None:
        """Forget names that are known by now, and those that have not come for long."""
        for name in [name for name, at in self.names.items() if name in known or witnessed - at >= GONE_MS]:
            del self.names[name]
        if witnessed - self.more_at >= GONE_MS:
            self.more = 0

    @property
    def count(self) -> int:
        """Return how many there are, at least."""
        return len(self.names) + self.more

    @property
    def words(self) -> str:
        """Return what is to be told of them."""
        listed = ", ".join([*sorted(self.names), *([f"at least {self.more} more"] if self.more else [])])
        return f"producers send features that no configuration knows: {listed}"

    def not_watched(self) -> Iterator[NotWatched]:
        """Yield each of them."""
        for name in sorted(self.names):
            yield NotWatched(kind=Unwatched.FEATURE, what=name, why=_WHY)
        if self.more:
            yield NotWatched(kind=Unwatched.FEATURE, what="others", why=f"at least {self.more} more: {_WHY}")
