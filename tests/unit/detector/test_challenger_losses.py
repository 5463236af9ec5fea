"""The losses that versions are compared by: between 0 and 1, and missing where a part of them is."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.detector.challengers.losses import MISSING, Loss
from tests.kit.references import words


def batch(**columns: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({name.replace("__", ":"): column for name, column in columns.items()})


def test_an_error_is_a_class_that_is_not_the_label() -> None:
    rows = batch(prediction=words("0", "1", "new", "new", None), label=words("0", "0", "0", "new", "1"))

    assert Loss("error", ("0", "1")).of(rows).tolist() == [0, 100, 100, 0, MISSING]


def test_the_loss_of_a_probability_is_its_squared_error() -> None:
    rows = batch(
        prediction=words(*"11011"), label=words("1", "0", "1", "new", "1"), score=pa.array([0.9, 0.9, 0.5, 0.5, None])
    )

    assert Loss("loss", ("0", "1"), "1", ("score",)).of(rows).tolist() == [1, 81, 25, MISSING, MISSING]


def test_the_loss_of_several_classes_is_half_of_their_squared_errors() -> None:
    rows = batch(
        prediction=words("a", "b"),
        label=words("a", "c"),
        score__a=pa.array([1.0, 0.0]),
        score__b=pa.array([0.0, 1.0]),
        score__c=pa.array([0.0, 0.0]),
    )
    loss = Loss("loss", ("a", "b", "c"), None, ("score:a", "score:b", "score:c"))

    assert loss.of(rows).tolist() == [0, 100]
    assert loss.of(rows.drop_columns(["score:b"])).tolist() == [MISSING, MISSING]


def test_an_error_of_a_number_counts_up_to_its_bound() -> None:
    rows = batch(prediction=pa.array([1.0, 3.0, -50.0, np.nan]), label=pa.array([1.0, 1.5, 0.0, 1.0]))

    assert Loss("absolute_error", bound=3.0).of(rows).tolist() == [0, 50, 100, MISSING]


@pytest.mark.parametrize("label", [words("1"), pa.array([1.0])], ids=["texts", "numbers"])
def test_without_a_bound_or_numbers_no_error_counts(label: pa.Array) -> None:
    rows = batch(prediction=pa.array([1.0]), label=label)
    bound = 0.0 if pa.types.is_floating(label.type) else 3.0

    assert Loss("absolute_error", bound=bound).of(rows).tolist() == [MISSING]
