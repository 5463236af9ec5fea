"""Whether a model's newest definition, or baseline, is in use: what consumers say, and what rows are stamped with.

The watch goes by the highest version that a row was made under. A consumer that has taken up a newer one says so; one
that goes on with an older one is known by its rows.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from shared.durations import UNITS_MS
from shared.events.alert import NotWatched, Unwatched
from shared.events.news import TakenUp
from shared.values import format_ts

GRACE_MS = UNITS_MS["m"]  # for rows that are under way
LISTED_MS = 10 * UNITS_MS["m"]  # after the last row under an older definition


class Uptake(msgspec.Struct):
    """The configuration versions of one model, and since when, in log time."""

    announced: int = 0
    announced_at: int = 0
    in_use: int = 0  # the highest of any row
    in_use_at: int = 0
    behind: int = 0  # of the last row under an older one, once rows under way have come
    behind_at: int = 0

    def announce(self, told: TakenUp, log_time: int) -> None:
        """Take that a consumer works from a definition from now on."""
        if told.config_version > self.announced:
            self.announced, self.announced_at = told.config_version, log_time

    def take(self, version: int, log_time: int) -> None:
        """Take a block of rows under a version."""
        if version > self.in_use:
            self.in_use, self.in_use_at = version, log_time
        elif version < self.in_use and log_time - self.in_use_at >= GRACE_MS:
            self.behind, self.behind_at = version, log_time

    def not_watched(self, log_time: int) -> Iterator[NotWatched]:
        """Yield the definition that is not in use, or not everywhere."""
        if self.announced > self.in_use and log_time - self.announced_at >= GRACE_MS:
            at = format_ts(self.announced_at)
            why = f"a consumer took it up at {at}, and no row has come under it: {self.in_use} is in use"
            yield NotWatched(kind=Unwatched.CONFIGURATION, what=str(self.announced), why=why)
        elif self.behind_at and log_time - self.behind_at < LISTED_MS:
            at = format_ts(self.behind_at)
            why = f"rows came under {self.behind} until {at}: not every consumer has taken it up"
            yield NotWatched(kind=Unwatched.CONFIGURATION, what=str(self.in_use), why=why)
