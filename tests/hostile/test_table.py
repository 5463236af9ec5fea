"""Each hostile input has the fate that the table says; `make hostile` prints the table."""

from __future__ import annotations

import pytest

from tests.hostile.rows import ROWS
from tests.hostile.table import COUNT, Row


@pytest.mark.parametrize(
    "hostile",
    [
        pytest.param(row, marks=[pytest.mark.e2e] if row.is_on_kafka else [], id=f"{row.number:02d}")
        for row in ROWS.values()
    ],
)
def test_a_hostile_input_meets_its_fate(hostile: Row, request: pytest.FixtureRequest) -> None:
    assert hostile.meet(lambda: request.getfixturevalue("settings")) == hostile.fate


def test_every_number_has_its_row() -> None:
    assert sorted(ROWS) == list(range(1, COUNT + 1))
