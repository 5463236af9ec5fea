"""Which columns are in trouble, by their blocks."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.detector.watchdogs.columns import GONE_MS, ROWS, TYPE_ERRORS, ColumnShapes, Seen
from shared.events.block import FLAG_OUT_OF_RANGE, FLAG_TYPE_ERROR
from tests.kit.references import words


def numbers(present: int, absent: int = 0, name: str = "amount") -> pa.RecordBatch:
    values = np.concatenate([np.ones(present), np.full(absent, np.nan)])
    return pa.RecordBatch.from_pydict({f"f:{name}": pa.array(values)})


def flagged(rows: int, flagged: int, flag: int = FLAG_TYPE_ERROR) -> pa.RecordBatch:
    flags = np.where(np.arange(rows) < flagged, flag, 0).astype(np.uint8)
    return pa.RecordBatch.from_pydict({"f:amount": pa.array(np.ones(rows)), "flags:amount": pa.array(flags)})


def seen(shapes: ColumnShapes, *batches: pa.RecordBatch, witnessed: int = 0) -> list[Seen]:
    return [found for batch in batches for found in shapes.take(batch, witnessed)]


def test_values_that_come_no_more_are_told_of_after_enough_rows() -> None:
    shapes = ColumnShapes()

    assert seen(shapes, numbers(2_000), numbers(0, ROWS - 1)) == []
    (found,) = seen(shapes, numbers(0, 1))
    assert found == Seen(
        "amount",
        "rows_without_value",
        float(ROWS),
        float(ROWS),
        ROWS,
        "amount has come without a value 500 times in a row; 100.0% had one before",
    )


def test_a_column_that_seldom_has_a_value_may_be_without_one_for_long() -> None:
    shapes = ColumnShapes()

    assert seen(shapes, numbers(2, 1_998), numbers(0, 2_000), numbers(0, 2_000)) == []
    run = [found.rows for batch in [numbers(0, 2_000)] * 5 for found in seen(shapes, batch)]
    assert run == [14_000]


def test_a_column_that_never_had_a_value_is_not_missed() -> None:
    assert seen(ColumnShapes(), numbers(0, 2_000), numbers(0, 2_000)) == []


def test_texts_that_come_no_more_are_told_of_as_well() -> None:
    shapes = ColumnShapes()
    texts = pa.RecordBatch.from_pydict({"f:region": words(*["north"] * 100)})
    nulls = pa.RecordBatch.from_pydict({"f:region": pa.nulls(ROWS, pa.utf8()).dictionary_encode()})

    (found,) = seen(shapes, texts, nulls)

    assert (found.feature, found.value) == ("region", float(ROWS))


def test_another_type_in_a_share_of_the_rows_is_told_of_once_a_window() -> None:
    shapes = ColumnShapes()
    errors = int(ROWS * TYPE_ERRORS)

    (found,) = seen(shapes, flagged(ROWS - 100, errors), flagged(100, 0))
    assert found == Seen(
        "amount",
        "type_error_share",
        TYPE_ERRORS,
        TYPE_ERRORS,
        ROWS,
        "amount came with another type in 5.0% of 500 predictions",
    )
    assert seen(shapes, flagged(ROWS, errors - 1)) == []


def test_what_is_out_of_range_has_its_type() -> None:
    assert seen(ColumnShapes(), flagged(ROWS, ROWS, FLAG_OUT_OF_RANGE)) == []


@pytest.mark.parametrize("block", [1, 7, 250, 500])
def test_a_column_is_well_when_it_has_been_so_for_a_day(block: int) -> None:
    shapes = ColumnShapes()
    troubled = seen(shapes, *[flagged(block, block)] * (-(-ROWS // block)), witnessed=1_000)

    assert [found.feature for found in troubled] == ["amount"]
    assert seen(shapes, flagged(block, 0), witnessed=999 + GONE_MS) == []
    (found,) = seen(shapes, flagged(block, 0), witnessed=1_000 + GONE_MS)
    assert found == Seen("amount", "", 0.0, 0.0, 0, "")
    assert shapes.bad == {}


def test_a_column_that_goes_on_being_in_trouble_is_not_well() -> None:
    shapes = ColumnShapes()
    seen(shapes, numbers(2_000), numbers(0, ROWS))
    found = [words for hour in range(72) for *_, words in seen(shapes, numbers(0, 10), witnessed=hour * GONE_MS // 24)]

    assert "" not in found
