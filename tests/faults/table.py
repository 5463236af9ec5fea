"""All faults by their numbers."""

from __future__ import annotations

from tests.faults import (
    access,
    broker,
    changes,
    checkpoints,
    clocks,
    cluster,
    crashes,
    inputs,
    logs,
    receivers,
    store,
    transactions,
    zombies,
)
from tests.faults.fault import Fault

FAMILIES = (
    crashes,
    checkpoints,
    transactions,
    changes,
    zombies,
    broker,
    cluster,
    logs,
    store,
    inputs,
    clocks,
    receivers,
    access,
)
FAULTS = {
    fault.number: fault
    for fault in sorted((fault for family in FAMILIES for fault in family.FAULTS), key=lambda fault: fault.number)
}
MINIMUM: tuple[Fault, ...] = tuple(fault for fault in FAULTS.values() if fault.is_minimum)
