"""An ingest service that takes up new definitions while it runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from shared.control import FollowedControl
from shared.log import TopicPartition
from shared.measures import Measure
from shared.stage import Stage


class Following:
    """A stage that works from a followed catalogue: what is published is in use about a second later."""

    def __init__(self, stage: Stage, control: FollowedControl) -> None:
        self.name = stage.name
        self._stage = stage
        self._control = control

    def step(self, timeout: float) -> bool:
        """Look for definitions, then do the stage's step."""
        self._control.follow()
        return self._stage.step(timeout)

    def measures(self) -> Iterable[Measure]:
        """Return what the stage counts."""
        return self._stage.measures()

    def halted(self) -> Mapping[TopicPartition, str]:
        """Return which logs the stage does not read, and why."""
        return self._stage.halted()

    def rebuilding(self) -> str:
        """Return what of the stage is made anew."""
        return self._stage.rebuilding()

    def close(self) -> None:
        """Close the stage, and stop following; idempotent."""
        self._stage.close()
        self._control.close()
