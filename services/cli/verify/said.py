"""The alerts as they stand in their log: where each id is first, and a digest of what it says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, NamedTuple

import msgspec

from services.cli.verify.installation import Installation
from services.cli.verify.report import Evidence, named
from shared.errors import Malformed
from shared.events.alert import AlertEnvelope
from shared.history import history
from shared.log import Record, TopicPartition
from shared.unreadable import UNREADABLE
from shared.values import parse_ts


class Said(NamedTuple):
    """One alert."""

    source: TopicPartition
    offset: int
    digest: bytes
    model: str
    time_ms: int  # log time

    @property
    def at(self) -> str:
        """Return the record's name."""
        return named(self.source, self.offset)


class SaidAlerts:
    """First copies, by id. Whoever explains one takes it out; what is left follows from nothing."""

    def __init__(self) -> None:
        self.by_id: dict[str, Said] = {}
        self._begins: dict[TopicPartition, int] = {}  # logs without their beginning: log time of the first alert kept

    def absorb(self, record: Record, evidence: Evidence, *, is_first_kept: bool) -> None:
        """Take one record; `evidence` takes what is no alert, or contradicts an alert of the same id."""
        value = record.value or b""
        try:
            alert = msgspec.json.decode(value, type=AlertEnvelope)
            said = Said(record.source, record.offset, digest(value), alert.subject, parse_ts(alert.time))
        except (*UNREADABLE, Malformed) as exc:
            evidence.differs(named(record.source, record.offset), f"is no alert ({exc})")
            return
        if is_first_kept:
            self._begins[record.source] = said.time_ms
        first = self.by_id.setdefault(alert.id, said)
        if first is said:
            return
        how = "is a copy of it" if first.digest == said.digest else "says otherwise"
        evidence.differs(said.at, f"has the id of {first.at} and {how}: {alert.id}")

    def may_be_gone(self, source: TopicPartition, time_ms: int) -> bool:
        """Tell whether an alert of that log time may have been written before what a log still holds."""
        return time_ms <= self._begins.get(source, -1)


def digest(value: bytes) -> bytes:
    """Return what stands for the content of an alert."""
    return hashlib.blake2b(value, digest_size=16).digest()


def read_said(here: Installation, logs: Mapping[TopicPartition, Evidence]) -> SaidAlerts:
    """Return the alerts of some logs, each with what takes its own differences, from its start to its end."""
    found = SaidAlerts()
    with closing(here.open_reader()) as reader:
        for source, evidence in logs.items():
            is_first_kept = evidence.start > 0
            for record in here.metered(reader, source, evidence.start, evidence.end, "reading"):
                found.absorb(record, evidence, is_first_kept=is_first_kept)
                evidence.count("records")
                is_first_kept = False
    return found


def contradiction(here: Installation, expected: bytes, said: Said) -> tuple[str, str | None]:
    """Return how an alert differs from what it should be, and the release that wrote it where that is another one."""
    with closing(here.open_reader()) as reader:
        (record,) = history(reader, said.source, said.offset, said.offset + 1)
    given, wanted = (msgspec.json.decode(value) for value in (record.value or b"null", expected))
    release = given.get("data", {}).get("code_version", here.code_version)
    return next(_differences("", given, wanted), "is other bytes"), None if release == here.code_version else release


def _differences(path: str, given: Any, wanted: Any) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(wanted, dict):
        for name in wanted | given:
            yield from _differences(f"{path}.{name}" if path else name, given.get(name), wanted.get(name))
    elif isinstance(given, list) and isinstance(wanted, list) and len(given) == len(wanted):
        for place, (one, other) in enumerate(zip(given, wanted, strict=True)):
            yield from _differences(f"{path}[{place}]", one, other)
    elif given != wanted:
        yield f"{path} is {_short(given)}, not {_short(wanted)}"


def _short(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}..."
