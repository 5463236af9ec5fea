"""Each hostile input has the fate that the table says; `make hostile` prints the table."""

from __future__ import annotations

import pytest

from tests.hostile.rows import ROWS
from tests.hostile.table import COUNT, Row


@pytest.mark.parametrize("hostile", ROWS.values(), ids=lambda hostile: f"{hostile.number:02d}")
def test_a_hostile_input_meets_its_fate(hostile: Row) -> None:
    assert hostile.meet() == hostile.fate


def test_every_number_has_its_row() -> None:
    assert sorted(ROWS) == list(range(1, COUNT + 1))
