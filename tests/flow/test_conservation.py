"""Nothing is lost and nothing counts twice: whatever is written, in whatever order, every event has one fate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.events.block import BlockKind
from tests.kit.pipeline import Pipeline, label, monitored, prediction

MODELS = ("loan", "house")
MONITORS = monitored(loan={}, house={"spread": 4})


class Write(NamedTuple):
    """One event; `model` is what a reader can tell of a record that cannot be used."""

    is_label: bool
    model: str | None
    value: bytes


class Step(NamedTuple):
    """What is written before these services run."""

    writes: Sequence[Write]
    services: Sequence[str]


NAMES = st.sampled_from("abcde")
PREDICTIONS = st.builds(
    lambda model, name, version, answer: Write(
        False,
        model,
        msgspec.json.encode(prediction(model=model, request_id=name, model_version=version, prediction=answer)),
    ),
    st.sampled_from(MODELS),
    NAMES,
    st.sampled_from(["v1", "v2", "v3", "v4", "v5"]),
    st.sampled_from([0, 1]),
)
LABELS = st.builds(
    lambda model, name, value, version: Write(
        True, model, msgspec.json.encode(label(model=model, request_id=name, label=value, label_version=version))
    ),
    st.sampled_from(MODELS),
    NAMES,
    st.sampled_from([0, 1]),
    st.none() | st.integers(1, 3),
)
GARBAGE = st.builds(
    Write,
    st.booleans(),
    st.just(None),
    st.sampled_from([b"", b"{", b"[]", b"\xff\xfe", b"NaN", b'{"request_id": "a"}', b"x" * 300_000]),
)
REFUSED = st.builds(
    lambda is_label, model, fields: Write(
        is_label, model, msgspec.json.encode((label if is_label else prediction)(model=model, **fields))
    ),
    st.booleans(),
    st.sampled_from([*MODELS, "unknown"]),
    st.sampled_from([{"request_id": None}, {"request_id": 7}, {"request_id": ""}, {"ts": "yesterday"}]),
)
STEPS = st.lists(
    st.builds(
        Step,
        st.lists(st.one_of(PREDICTIONS, PREDICTIONS, LABELS, LABELS, GARBAGE, REFUSED), max_size=12),
        st.sampled_from([(), ("prediction_consumer",), ("ground_truth_consumer",), ("joiner", "detector")]),
    ),
    max_size=6,
)


def produced(steps: Sequence[Step], *, is_label: bool) -> Counter[str | None]:
    return Counter(write.model for step in steps for write in step.writes if write.is_label is is_label)


def replay(steps: Sequence[Step]) -> Pipeline:
    pipeline = Pipeline(MONITORS)
    for step in steps:
        for write in step.writes:
            (pipeline.raw_label if write.is_label else pipeline.raw_prediction)(write.value)
        pipeline.run(*step.services)
    pipeline.run()
    return pipeline


@settings(max_examples=60, derandomize=True)
@given(STEPS)
def test_every_event_has_exactly_one_fate(steps: Sequence[Step]) -> None:
    pipeline = replay(steps)

    refused = Counter((letter.topic, letter.model) for letter in pipeline.dead_letters)
    predictions, labels = produced(steps, is_label=False), produced(steps, is_label=True)
    for model in MODELS:
        found = pipeline.counters(model)
        assert predictions[model] == (found.predictions + refused["predictions", model])
        assert labels[model] == (found.labels + refused["ground-truth", model])
    for nobody in (None, "unknown"):
        assert predictions[nobody] == refused["predictions", nobody]
        assert labels[nobody] == refused["ground-truth", nobody]


@settings(max_examples=60, derandomize=True)
@given(STEPS)
def test_every_prediction_meets_its_label_once(steps: Sequence[Step]) -> None:
    pipeline = replay(steps)

    served = [(row["model_version"], row["id"]) for row in pipeline.rows(BlockKind.SERVED)]
    labelled = [(row["model_version"], row["id"]) for row in pipeline.rows(BlockKind.LABELLED)]
    assert len(served) == len(set(served)) == sum(pipeline.counters(model).served for model in MODELS)
    assert len(labelled) == len(set(labelled))
    assert len({identity for _, identity in labelled}) == sum(pipeline.counters(m).labels_joined for m in MODELS)
    # What has a label has it in every version that was served.
    names = {identity for _, identity in labelled}
    assert set(labelled) == {(version, identity) for version, identity in served if identity in names}
