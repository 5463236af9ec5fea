"""What one partition of the alerts has come to: open incidents and standing verdicts, who knows, which notices wait.

A book is the fold of its log below `position`. It names alerts by their offsets; the alerts themselves, which are
large, are kept beside it. As bytes: `magic | MessagePack | CRC32C of both`.
"""

from __future__ import annotations

from typing import Self

import google_crc32c
import msgspec

from shared.errors import Corrupt
from shared.events.alert import IncidentEvent, Severity
from shared.events.comparison import Advice
from shared.unreadable import UNREADABLE

MAGIC = b"driftline-notifier/1\n"
_CHECKSUM_BYTES = 4


class Told(msgspec.Struct):
    """When a channel was last told of an incident, in log time, and how often that was a repeat."""

    at_ms: int
    repeats: int = 0


class OpenIncident(msgspec.Struct):
    """An incident that is not over. `offset`: its latest alert. `told`: by channel."""

    model: str
    severity: Severity
    offset: int
    told: dict[str, Told] = {}


class Compared(msgspec.Struct):
    """How a challenger stood at its latest alert, at `offset`. `changed_by`: the alert that brought the verdict."""

    model: str
    champion: str
    comparison_id: str
    event: IncidentEvent
    advice: Advice
    changed_by: str
    offset: int
    told: list[str] = []  # channels


class Waiting(msgspec.Struct):
    """A notice that no channel has taken yet. Its id is what receivers know it by, the same at every attempt.

    about: the id of the incident, or of the comparison. repeat: 0, or the number of the repeat. offset: the alert that
    it tells. since_ms: log time when it arose.
    """

    id: str
    channel: str
    model: str
    about: str
    event: IncidentEvent
    repeat: int
    offset: int
    since_ms: int
    attempts: int = 0
    problem: str | None = None  # what the last attempt met


class Book(msgspec.Struct):
    """The state of one partition. `open` and `compared` in order of their latest alerts, the rest oldest first."""

    position: int = 0
    log_time_ms: int = 0
    open: dict[str, OpenIncident] = {}
    compared: dict[str, Compared] = {}  # by model and challenger
    waiting: list[Waiting] = []
    seen: list[int] = []  # hashes of alert ids: the log may hold an alert twice

    def offsets(self) -> set[int]:
        """Return the alerts that are still needed."""
        standing = {one.offset for one in self.open.values()} | {one.offset for one in self.compared.values()}
        return standing | {notice.offset for notice in self.waiting}

    def pack(self) -> bytes:
        """Return the book as bytes."""
        content = MAGIC + msgspec.msgpack.encode(self)
        return content + _checksum(content)

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """Return the book in `packed`.

        Raises:
            Corrupt: not whole, or not written by a release that this one can read.
        """
        content, checksum = packed[:-_CHECKSUM_BYTES], packed[-_CHECKSUM_BYTES:]
        if not content.startswith(MAGIC):
            raise Corrupt(f"the notifier's book begins with {packed[: len(MAGIC)]!r}, this release reads {MAGIC!r}")
        if _checksum(content) != checksum:
            raise Corrupt("the notifier's book has another checksum than was written")
        try:
            return msgspec.msgpack.decode(content[len(MAGIC) :], type=cls)
        except UNREADABLE as exc:
            raise Corrupt(f"the notifier's book does not read back ({exc})") from exc


def _checksum(content: bytes) -> bytes:
    return int(google_crc32c.value(content)).to_bytes(_CHECKSUM_BYTES, "big")
