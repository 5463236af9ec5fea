"""The release after this one, as far as an upgrade is concerned: `python -m tests.kit.next_release joiner`.

The same services, but for the versions of what they write. Its joiner's fold gives fewer outputs, every second tick
alone, so that what it repeats has other numbers; its detector's state has another version, to which one step leads.
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial

from services.cli.verify import observations, view
from services.detector import partition
from services.detector.migrations import VERSION, current, headed
from services.joiner import fold, meta
from services.joiner.fold import Emission, Fold
from shared.events import block
from shared.events.block import FOLD, Block, BlockKind
from shared.log import Record

NEXT = FOLD + 1
_emit = Fold._emit


@contextmanager
def next_release() -> Iterator[None]:
    """Let this process be of the next release."""
    step = {VERSION: lambda state: state}
    changes: list[tuple[object, str, object]] = [
        *((module, "FOLD", NEXT) for module in (block, fold, meta, observations, view)),
        (Fold, "_emit", _emit_fewer),
        (partition, "headed", partial(headed, version=VERSION + 1)),
        (partition, "current", partial(current, migrations=step, version=VERSION + 1)),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    for owner, name, value in changes:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)


def _emit_fewer(self: Fold, record: Record, outputs: Iterable[tuple[int, Block]]) -> list[Emission]:
    return _emit(self, record, (one for one in outputs if one[1].kind is not BlockKind.TICK or record.offset % 2 == 0))


if __name__ == "__main__":
    with next_release():
        runpy.run_module(f"services.{sys.argv[1]}", run_name="__main__", alter_sys=True)
