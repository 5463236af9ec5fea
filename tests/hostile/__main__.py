"""`python -m tests.hostile` prints the table: each hostile input and its fate. Exit 1 where one has another fate."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import cache

import structlog

from services.devstack.adapters.stack import RunningStack, running_stack
from tests.hostile.rows import ROWS
from tests.hostile.table import Place
from tests.kit.stack import options, own_settings


def lines(place: Place) -> Iterator[tuple[str, bool]]:
    """Yield a line for each row, and whether its fate is the one that it must be."""
    for number in sorted(ROWS):
        row = ROWS[number]
        try:
            fate = row.meet(place)
        except Exception as exc:  # noqa: BLE001 - the table goes on
            fate = f"FAILED: {exc!r}"
        is_right = fate == row.fate
        yield f"{number:>2}  {row.what}\n    {fate}{'' if is_right else f'  (must be: {row.fate})'}", is_right


def main() -> int:
    """Print the table."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())  # nothing that is logged is printed
    right = 0
    with ExitStack() as undo:

        @cache
        def stack() -> RunningStack:
            return undo.enter_context(running_stack(options(), lambda _: None))

        for line, is_right in lines(lambda: own_settings(stack())):
            print(line, flush=True)  # noqa: T201 - a program of its own
            right += is_right
    print(f"{right} of {len(ROWS)} hostile inputs met their fate")  # noqa: T201
    return 0 if right == len(ROWS) else 1


if __name__ == "__main__":
    sys.exit(main())
