"""Clocks that are wrong: those of producers, of the services, and of the broker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

from shared.durations import UNITS_MS
from tests.faults.fault import Fault
from tests.faults.rig import DATA_PLANE, Rig

HOUR_SECONDS, MINUTE_SECONDS = 3_600, 60
PRODUCERS_MS = (-UNITS_MS["d"], 50 * UNITS_MS["m"])  # brokers refuse what is more than an hour ahead of them


class FakeClock:
    """The wall clock of some processes, through libfaketime. Their monotonic clock is left alone."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.jump(0)

    @property
    def environment(self) -> dict[str, str]:
        """Return what makes a process take this clock."""
        return {
            "LD_PRELOAD": str(library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",  # its name before 0.9.10
        }

    def jump(self, seconds: int) -> None:
        """Be so many seconds off from now on."""
        self._file.write_text(f"{seconds:+d}\n", encoding="ascii")


def wrong(rig: Rig) -> None:
    ours, brokers = FakeClock(rig.folder / "ours"), FakeClock(rig.folder / "brokers")
    kafka = rig.servers.kafka
    with inherited(brokers.environment):
        rig.servers.restart(kafka)
    try:
        for name in DATA_PLANE:
            rig.crew.start(name, environment=ours.environment)
        rig.write(per_second=1_500, off_ms=PRODUCERS_MS)
        rig.await_joined(0.3)
        ours.jump(HOUR_SECONDS)
        rig.await_joined(0.5)
        brokers.jump(-10 * MINUTE_SECONDS)
        rig.settle()
        rig.happened(times_that_went_back=went_back(rig))
    finally:
        rig.servers.restart(kafka)
    rig.settle()


def went_back(rig: Rig) -> int:
    """Return how often a record of the halves is older than the one before it, by minutes."""
    records = rig.here.records(rig.topics.halves)
    return sum(
        one.partition == next_.partition and one.timestamp_ms - next_.timestamp_ms > UNITS_MS["m"]
        for one, next_ in pairwise(records)
    )


@contextmanager
def inherited(environment: dict[str, str]) -> Iterator[None]:
    """Let child processes have these variables while the block runs."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def library() -> Path | None:
    """Return where libfaketime is."""
    found = [path for folder in ("/usr/lib", "/usr/local/lib") for path in Path(folder).glob("**/libfaketimeMT.so.1")]
    return found[0] if found else None


def no_library() -> str:
    """Return why clocks cannot be changed here."""
    return "" if library() else "there is no libfaketime; Debian has it in the package libfaketime"


FAULTS = (Fault(39, "clocks of producers, services and broker are wrong", wrong, missing=no_library),)
