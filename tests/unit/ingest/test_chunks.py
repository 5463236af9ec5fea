"""Records are decoded many at a time; what becomes of each is what becomes of it alone."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.events.block import BlockKind
from shared.ingest.intake import Admitted
from shared.ingest.options import IngestOptions
from shared.log import Records, TopicPartition
from tests.kit.ingest import (
    NOW,
    Ingest,
    catalogue_of,
    encoded,
    intakes,
    label,
    labels,
    loan,
    prediction,
    predictions,
    price,
)

DAY_MS = 86_400_000
WAIT = IngestOptions(linger_ms=60_000)

SOURCE = TopicPartition("predictions", 0)
PRICE = prediction(model="price", prediction=3, features={"size": 2}, scores=None, segments=None)

PREDICTIONS: list[Any] = [
    prediction(),
    prediction(scores=0.5),
    prediction(scores=None, features={"age": None, "salary": True}),
    prediction(features={"age": 41, "salary": 1, "shoe": 43}),
    prediction(features={"age": "old", "salary": "low"}, colour="red"),
    prediction(features={"age": 130, "salary": ["low"]}, segments={"salary": "high"}),
    prediction(ts=None, model_version="v2"),
    prediction(ts="2099-01-01T00:00:00Z", features={"salary": "é"}),
    PRICE,
    prediction(model="nobody"),
    prediction(prediction=None),
    b'{"model": "loan"',
    b"",
    None,
]
LABELS: list[Any] = [label(), label(label=0, label_version=3), label(label=7), label(source="hand"), b"{}"]


def outcome(service: Ingest, *polls: list[Any]) -> tuple[list[dict[str, Any]], list[str], dict[tuple[str, str], int]]:
    """Return rows in the order of their offsets, reasons of dead letters, and what was counted."""
    for events in polls:
        service.write(*events)
        while service.stage.step(0.0):
            pass
    service.stage.close()
    columns = sorted({name for row in service.rows for name in row})
    rows = [{name: row.get(name) for name in columns} for row in service.rows]
    return sorted(rows, key=lambda row: int(row["src_offset"])), service.reasons, dict(service.stage.counts)


def repeated(row: dict[str, Any]) -> str:
    return repr(sorted((name, value or None) for name, value in row.items()))  # no flags column is a column of zeros


@settings(max_examples=60)
@given(st.lists(st.sampled_from(PREDICTIONS), max_size=40))
def test_predictions_polled_together_become_what_each_becomes_alone(events: list[Any]) -> None:
    rows, reasons, counts = outcome(predictions(options=WAIT), events)
    alone_rows, alone_reasons, alone_counts = outcome(predictions(options=WAIT), *[[event] for event in events])

    assert [repeated(row) for row in rows] == [repeated(row) for row in alone_rows]
    assert (reasons, counts) == (alone_reasons, alone_counts)


@settings(max_examples=30)
@given(st.lists(st.sampled_from(LABELS), max_size=40))
def test_labels_polled_together_become_what_each_becomes_alone(events: list[Any]) -> None:
    rows, reasons, counts = outcome(labels(options=WAIT), events)
    alone_rows, alone_reasons, alone_counts = outcome(labels(options=WAIT), *[[event] for event in events])

    assert (rows, reasons, counts) == (alone_rows, alone_reasons, alone_counts)


def test_one_stale_record_among_many_is_refused_alone() -> None:
    service = labels()
    service.write(label(request_id="a"))
    service.write(label(request_id="b"), ts_ms=NOW - 11 * DAY_MS)
    service.write(label(request_id="c"))

    service.take()

    assert (service.kind, len(service.rows), service.reasons) == (BlockKind.LABEL, 2, ["stale"])


def admitted(*events: dict[str, Any]) -> list[tuple[str, list[int]]]:
    """Return the models of rows that belong together, with their offsets, once every version is known."""
    intake = intakes(catalogue_of(loan(), price()))[BlockKind.PREDICTION]
    size = len(events)
    records = Records(SOURCE, range(size), [NOW] * size, [encoded(event) for event in events])
    intake.admit(records, stale_at_ms=None)
    outcomes = intake.admit(records, stale_at_ms=None)
    assert all(isinstance(outcome, Admitted) for outcome in outcomes)
    return [(found.model.name, list(found.rows.offsets)) for found in outcomes if isinstance(found, Admitted)]


def test_models_that_take_turns_are_decoded_together() -> None:
    assert admitted(*[PRICE, prediction()] * 3) == [("price", [0, 2, 4]), ("loan", [1, 3, 5])]


def test_rows_of_a_model_keep_their_order_where_its_name_is_guessed_wrong() -> None:
    misleading = {"features": {"model": "price"}} | prediction(features={"model": "price"})

    found = admitted(prediction(), misleading, PRICE, prediction())

    assert found == [("loan", [0]), ("loan", [1]), ("price", [2]), ("loan", [3])]
