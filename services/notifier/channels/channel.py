"""What every channel delivers, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Notice:
    """One message for people: a finished line, and what a channel may sort or group by."""

    line: str
    is_page: bool
    model: str
    incident_id: str
    alert_id: str


class Channel(Protocol):
    """A way to reach people; the same notice may come twice, with the same alert id."""

    def deliver(self, notice: Notice) -> None:
        """Return when the notice is delivered.

        Raises:
            Unavailable: it is not; the alert comes again.
        """
        ...
