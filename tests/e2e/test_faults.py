"""The faults that every change is tested with, on one Kafka and one Redis; `make faults` has all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.devstack.adapters.stack import RunningStack
from tests.faults.fault import Fault, Verdict
from tests.faults.run import run
from tests.faults.servers import Servers, programs, servers
from tests.faults.table import MINIMUM

pytestmark = pytest.mark.long
RECORDS = 20_000
SEED = 17


class Shared:
    """Servers that faults share, until one leaves them in ruins."""

    def __init__(self) -> None:
        self._undo = ExitStack()
        self._running: Servers | None = None

    def take(self) -> Servers:
        if self._running is None or not self._running.are_well:
            self.close()
            self._running = self._undo.enter_context(servers(programs(print)))
        return self._running

    def close(self) -> None:
        self._undo.close()


@pytest.fixture(scope="module")
def shared(stack: RunningStack) -> Iterator[Shared]:  # noqa: ARG001 - where it cannot start, nothing can
    found = Shared()
    yield found
    found.close()


@pytest.mark.parametrize("fault", MINIMUM, ids=lambda fault: f"{fault.number}")
def test_what_a_fault_leaves_behind_is_the_fold_of_its_logs(fault: Fault, shared: Shared, tmp_path: Path) -> None:
    row = run(fault, shared.take(), tmp_path, seed=SEED, records=RECORDS)

    assert row.why == []
    assert row.verdict is Verdict.GREEN
