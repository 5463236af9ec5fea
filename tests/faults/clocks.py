"""Clocks that are wrong: those of producers and of the services."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

from shared.durations import UNITS_MS
from tests.faults.fault import Fault
from tests.faults.rig import DATA_PLANE, Rig

HOUR_SECONDS = 3_600
PRODUCERS_MS = (-UNITS_MS["d"], 50 * UNITS_MS["m"])  # brokers refuse what is more than an hour ahead of them


def clock(library: Path, seconds: int) -> dict[str, str]:
    """Return what makes the wall clock of a process so many seconds off; its monotonic clock is left alone."""
    return {"LD_PRELOAD": str(library), "CLOCK_OFF_SECONDS": str(seconds)}


def wrong(rig: Rig) -> None:
    """Services are an hour ahead, are killed, and are an hour behind: processes that run must not see a clock jump."""
    library = built(rig.folder)
    for name in DATA_PLANE:
        rig.crew.start(name, environment=clock(library, HOUR_SECONDS))
    rig.write(per_second=1_500, off_ms=PRODUCERS_MS)
    rig.until("a checkpoint is saved", lambda: seconds_ahead(rig) > HOUR_SECONDS / 2)
    ahead = seconds_ahead(rig)
    rig.await_joined(0.4)
    rig.crew.kill(*DATA_PLANE)
    for name in DATA_PLANE:
        rig.crew.start(name, environment=clock(library, -HOUR_SECONDS))
    rig.settle()
    rig.until("a checkpoint is saved again", lambda: seconds_ahead(rig) < -HOUR_SECONDS / 2)
    rig.happened(seconds_ahead=ahead, seconds_behind=-seconds_ahead(rig), events_of_another_time=misdated(rig))
    rig.saw(copies_dropped=rig.copies())


def seconds_ahead(rig: Rig) -> int:
    """Return how far ahead of ours the detector's clock was at its last checkpoint."""
    saved = rig.crew.samples("detector").get("detector_checkpoint_timestamp_seconds", {})
    return round(max(saved.values(), default=time.time()) - time.time())


def misdated(rig: Rig) -> int:
    """Return how many events their producers have dated half an hour off, or more."""
    now = time.time_ns() // 1_000_000
    records = rig.read(rig.topics.predictions)
    return sum(abs(record.timestamp_ms - now) > 30 * UNITS_MS["m"] for record in records)


def built(folder: Path) -> Path:
    """Return the library that changes clocks, built anew."""
    library = folder / "clock.so"
    options = ("-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-O1")
    subprocess.run(["cc", *options, "-o", library, Path(__file__).with_name("clock.c")], check=True)
    return library


def no_compiler() -> str:
    """Return why clocks cannot be changed here."""
    return "" if sys.platform == "linux" and shutil.which("cc") else "clocks are changed on Linux, with a C compiler"


FAULTS = (Fault(39, "clocks of producers and services are wrong", wrong, missing=no_compiler),)
