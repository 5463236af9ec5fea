"""Acts: what people did to an installation, who and when, kept in `driftline.control` for whoever audits it.

An act is told beside what it did, and decides nothing: no stage reads it.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from shared.errors import Corrupt
from shared.identity import content_hash
from shared.log import Outgoing, Record
from shared.topics import Topics
from shared.unreadable import UNREADABLE

KIND = "act"
MAX_ACTOR_CHARS = 128


class ActKind(StrEnum):
    """What was done."""

    PUBLISH = "publish"  # a definition from the configuration, by `services run` or `baseline build --publish`
    WARM_UP = "warm_up"  # the first baseline of a model that had none
    ACCEPT = "accept"
    UNDO = "undo"
    ERASE = "erase"
    REPAIR = "repair"
    RESUME = "resume"  # an input that was halted
    REPLAY = "replay"  # of dead letters


class Act(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One act. `by`: who says so, which is as good as the write access to the topic. model: empty, if none is meant."""

    kind: ActKind
    model: str
    at: str  # RFC 3339, by the clock of who did it
    by: str
    definition: str = ""  # the hash of what was published
    incident_id: str = ""
    reason: str = ""
    requests: int = 0  # how many were erased; which ones is not kept
    records: list[str] = []  # those that were written: topic-partition@offset
    about: list[str] = []  # what was deleted, resumed or chosen, in words
    letters: int = 0  # how many were sent again


def act_record(topics: Topics, act: Act) -> Outgoing:
    """Return the record to write; every act is kept, for no two have the same key."""
    value = msgspec.json.encode(act, order="sorted")
    return Outgoing(topics.control, value, f"{act.model}/{KIND}/{content_hash(value)}".encode(), partition=0)


def act_in(record: Record) -> Act | None:
    """Return the act in a record of `driftline.control`, if it is one.

    Raises:
        Corrupt: it does not read back.
    """
    parts = (record.key or b"").decode(errors="replace").rsplit("/", 2)
    if len(parts) != 3 or parts[1] != KIND or record.value is None:
        return None
    try:
        return msgspec.json.decode(record.value, type=Act)
    except UNREADABLE as exc:
        raise Corrupt(f"{record.topic}@{record.offset}: not an act ({exc})") from exc
