"""The fate of every kind of input, from the topic where it was written to the place where it ends."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from services.joiner.meta import Counters
from shared.events.block import FLAG_NOT_FINITE, FLAG_TYPE_ERROR, BlockKind
from tests.kit.pipeline import Pipeline, label, monitored, prediction

MONITORS = monitored(loan={})
COLUMNS = ("model_version", "f:amount", "prediction", "label", "replaced_label", "flags:amount")

Row = dict[str, Any]  # the columns of COLUMNS that the observation has and a row names


def encoded(event: dict[str, Any]) -> bytes:
    return msgspec.json.encode(event)


def features(**changed: Any) -> bytes:
    """Return a prediction with other features."""
    return encoded(prediction(features={**prediction()["features"], **changed}))


def with_literal(old: str, new: str) -> bytes:
    """Return a prediction where one piece of its JSON is a literal that JSON does not have."""
    right = encoded(prediction())
    assert right.count(old.encode()) == 1
    return right.replace(old.encode(), new.encode())


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What is written, step by step, and where all of it is in the end."""

    predictions: tuple[bytes, ...] = ()
    labels: tuple[bytes, ...] = ()
    labels_first: bool = False
    served: tuple[Row, ...] = ()
    labelled: tuple[Row, ...] = ()
    corrected: tuple[Row, ...] = ()
    letters: tuple[tuple[str, str | None], ...] = ()  # reason and model
    counters: Counters = field(default_factory=Counters)


P = encoded(prediction())
L = encoded(label())
SERVED = {"model_version": "v1", "f:amount": 3_000.0, "prediction": "1"}
LABELLED = {"model_version": "v1", "prediction": "1", "label": "1"}
ONE = Counters(served=1)
PAIR = Counters(served=1, labels_joined=1)

FATES = {
    "a prediction": Fate(predictions=(P,), served=(SERVED,), counters=ONE),
    "a prediction and its label": Fate(
        predictions=(P,), labels=(L,), served=(SERVED,), labelled=(LABELLED,), counters=PAIR
    ),
    "a label that comes first": Fate(
        predictions=(P,), labels=(L,), labels_first=True, served=(SERVED,), labelled=(LABELLED,), counters=PAIR
    ),
    "a label of an unknown id": Fate(labels=(L,), counters=Counters(unmatched_label=1)),
    "the same prediction three times": Fate(
        predictions=(P, P, P), served=(SERVED,), counters=Counters(served=1, prediction_duplicates=2)
    ),
    "another prediction of the same id": Fate(
        predictions=(P, encoded(prediction(prediction=0))),
        served=(SERVED,),
        counters=Counters(served=1, prediction_conflicts=1),
    ),
    "the same label twice": Fate(
        predictions=(P,),
        labels=(L, L),
        served=(SERVED,),
        labelled=(LABELLED,),
        counters=Counters(served=1, labels_joined=1, label_duplicates=1),
    ),
    "a corrected label": Fate(
        predictions=(P,),
        labels=(L, encoded(label(label=0, label_version=2))),
        served=(SERVED,),
        labelled=(LABELLED,),
        corrected=({**LABELLED, "label": "0", "replaced_label": "1"},),
        counters=Counters(served=1, labels_joined=1, corrections=1),
    ),
    "a correction before the prediction": Fate(
        predictions=(P,),
        labels=(L, encoded(label(label=0, label_version=2))),
        labels_first=True,
        served=(SERVED,),
        labelled=({**LABELLED, "label": "0"},),
        counters=Counters(served=1, labels_joined=1, corrections=1),
    ),
    "an older label that says something else": Fate(
        predictions=(P,),
        labels=(encoded(label(label_version=2)), encoded(label(label=0, label_version=1))),
        served=(SERVED,),
        labelled=(LABELLED,),
        counters=Counters(served=1, labels_joined=1, label_conflicts=1),
    ),
    "two model versions of one id": Fate(
        predictions=(P, encoded(prediction(model_version="v2", prediction=0))),
        labels=(L,),
        served=(SERVED, {**SERVED, "model_version": "v2", "prediction": "0"}),
        labelled=(LABELLED, {**LABELLED, "model_version": "v2", "prediction": "0"}),
        counters=Counters(served=2, labels_joined=1),
    ),
    "a fifth model version of one id": Fate(
        predictions=tuple(encoded(prediction(model_version=f"v{n}")) for n in range(1, 6)),
        served=tuple({**SERVED, "model_version": f"v{n}"} for n in range(1, 5)),
        counters=Counters(served=4, predictions_dropped=1),
    ),
    "one feature of a wrong type": Fate(
        predictions=(features(amount="much"),),
        served=({**SERVED, "f:amount": None, "flags:amount": FLAG_TYPE_ERROR},),
        counters=ONE,
    ),
    "a NaN literal in a feature": Fate(
        predictions=(with_literal("3000.0", "NaN"),),
        served=({**SERVED, "f:amount": None, "flags:amount": FLAG_NOT_FINITE},),
        counters=ONE,
    ),
    "a missing feature": Fate(
        predictions=(features(amount=None),), served=({**SERVED, "f:amount": None},), counters=ONE
    ),
    "a feature nobody asked for": Fate(predictions=(features(shoe_size=46),), served=(SERVED,), counters=ONE),
    "a NaN literal as the id": Fate(predictions=(with_literal('"r1"', "NaN"),), letters=(("json", "loan"),)),
    "a NaN literal as the label": Fate(labels=(L.replace(b'"label":1', b'"label":NaN'),), letters=(("json", "loan"),)),
    "not JSON": Fate(predictions=(b"hello",), labels=(b"\xff\xfe",), letters=(("json", None), ("json", None))),
    "nothing": Fate(predictions=(b"",), letters=(("empty", None),)),
    "a wrong type": Fate(predictions=(encoded(prediction(request_id=17)),), letters=(("type", "loan"),)),
    "a list of features": Fate(predictions=(encoded(prediction(features=[1])),), letters=(("type", "loan"),)),
    "no request id": Fate(predictions=(encoded(prediction(request_id=None)),), letters=(("schema", "loan"),)),
    "no label": Fate(labels=(encoded(label(label=None)),), letters=(("schema", "loan"),)),
    "an unknown class": Fate(labels=(encoded(label(label="maybe")),), letters=(("label", "loan"),)),
    "an unknown model": Fate(predictions=(encoded(prediction(model="house")),), letters=(("unknown_model", "house"),)),
    "1 MB": Fate(predictions=(encoded(prediction(comment="x" * 1_000_000)),), letters=(("size", None),)),
    "a bad one between good ones": Fate(
        predictions=(P, b"{", encoded(prediction(request_id="r2"))),
        served=(SERVED, SERVED),
        letters=(("json", None),),
        counters=Counters(served=2),
    ),
}


def observed(pipeline: Pipeline, kind: BlockKind) -> tuple[Row, ...]:
    """Return rows with the named columns that say something."""
    known = [{name: row.get(name) for name in COLUMNS} for row in pipeline.rows(kind)]
    return tuple({name: None if _is_nan(value) else value for name, value in row.items()} for row in known)


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def whole(rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Return rows with every named column; what a row does not name is missing."""
    return tuple({name: row.get(name) for name in COLUMNS} for row in rows)


@pytest.mark.parametrize("fate", FATES.values(), ids=FATES)
def test_every_input_ends_where_it_belongs(fate: Fate) -> None:
    pipeline = Pipeline(MONITORS)

    for value in fate.predictions:
        pipeline.raw_prediction(value)
    for value in fate.labels:
        pipeline.raw_label(value)
    pipeline.run("ground_truth_consumer" if fate.labels_first else "prediction_consumer", "joiner")
    pipeline.run()

    assert observed(pipeline, BlockKind.SERVED) == whole(fate.served)
    assert observed(pipeline, BlockKind.LABELLED) == whole(fate.labelled)
    assert observed(pipeline, BlockKind.CORRECTED) == whole(fate.corrected)
    assert tuple((letter.reason, letter.model) for letter in pipeline.dead_letters) == fate.letters
    assert pipeline.counters("loan") == fate.counters


def test_a_dead_letter_says_where_the_record_is_and_who_refused_it() -> None:
    pipeline = Pipeline(MONITORS)

    pipeline.predict()
    pipeline.raw_prediction(b"{")
    pipeline.label()
    pipeline.label(label="maybe")
    pipeline.run()

    assert sorted(
        (letter.topic, letter.partition, letter.offset, letter.service) for letter in pipeline.dead_letters
    ) == [
        ("ground-truth", 0, 1, "ground_truth_consumer"),
        ("predictions", 0, 1, "prediction_consumer"),
    ]


def test_a_dead_letter_never_repeats_what_was_refused() -> None:
    pipeline = Pipeline(MONITORS)

    pipeline.raw_prediction(b'{"request_id": "hunter2", "model": "loan", "features": "hunter2"}')
    pipeline.run()

    (record,) = pipeline.broker.records(pipeline.topics.dead_letters)
    assert b"hunter2" not in (record.value or b"")
