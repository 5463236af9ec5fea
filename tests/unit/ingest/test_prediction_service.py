"""What events tell of the model's own service: latencies, errors, and predictions that there are none of."""

from __future__ import annotations

import math

import pytest

from tests.kit.ingest import batch_of, prediction, predictions


def failed(**changes: object) -> dict[str, object]:
    return prediction(error="timeout", prediction=None, scores=None, **changes)


def test_latencies_and_errors_are_columns_of_the_blocks_that_tell_them() -> None:
    service = predictions()
    service.take(
        prediction(latency_ms=12.5),
        prediction(request_id="r2", latency_ms=3, error="fallback"),
        prediction(request_id="r3", error=""),
    )
    rows = service.rows

    assert [row["latency_ms"] for row in rows][:2] == [12.5, 3.0]
    assert math.isnan(rows[2]["latency_ms"])
    assert [row["failed"] for row in rows] == [0, 1, 0]
    assert [row["prediction"] for row in rows] == ["1", "1", "1"]  # an error with an answer is still an answer


def test_blocks_in_which_no_row_tells_of_the_service_have_no_columns_for_it() -> None:
    service = predictions()
    service.take(prediction())
    [block] = service.blocks

    assert {"latency_ms", "failed"}.isdisjoint(batch_of(block).schema.names)


@pytest.mark.parametrize("latency", [-1, -0.5])
def test_a_latency_below_nothing_is_unknown(latency: float) -> None:
    service = predictions()
    service.take(prediction(latency_ms=latency, error="x"))
    [row] = service.rows

    assert "latency_ms" not in row or math.isnan(row["latency_ms"])


def test_an_error_without_a_prediction_is_a_row_of_no_class() -> None:
    service = predictions()
    service.take(failed(), failed(request_id="r2", features={"age": "old"}), prediction(request_id="r3"))

    assert [row["prediction"] for row in service.rows] == [None, None, "1"]
    assert [row["failed"] for row in service.rows] == [1, 1, 0]
    assert service.letters == []


def test_an_error_of_a_regression_without_a_prediction_is_a_row_without_a_number() -> None:
    service = predictions()
    service.take(
        prediction(model="price", features={"size": 3}, error="down", prediction=None, scores=None, segments=None)
    )
    [row] = service.rows

    assert math.isnan(row["prediction"])
    assert row["f:size"] == 3.0


@pytest.mark.parametrize("error", [None, ""])
def test_a_prediction_that_is_missing_without_an_error_is_no_event(error: str | None) -> None:
    service = predictions()
    service.take(prediction(prediction=None, error=error))

    assert [letter.reason for letter in service.letters] == ["schema"]
    assert service.blocks == []
