"""One request as the view has it, for people: what was predicted, what the truth was, until when it counts."""

from __future__ import annotations

import msgspec
import numpy as np

from services.joiner.entry import CLASS_LABEL, GAINS_LABEL, LABEL_RECORD, unpack
from services.joiner.meta import Meta
from services.joiner.shapes import NO_LIST, Shapes
from services.joiner.view import View
from services.joiner.words import Words
from shared.events.block import SEGMENT_PREFIX
from shared.events.ranking import GAIN_BYTES, ITEM_BYTES


class FoundPrediction(msgspec.Struct, frozen=True, kw_only=True):
    """A prediction of one model version, and the observation that its Served row went to.

    Of a ranking `prediction` is how many items it lists: of the items themselves nothing readable is kept.
    """

    model: str
    model_version: str
    ts: int
    prediction: float | str | None
    scores: dict[str, float]
    segments: dict[str, str | None]
    served_seq: int
    served_row: int


class FoundLabel(msgspec.Struct, frozen=True, kw_only=True):
    """The label that stands, and the record it came from; of gains, how many items are worth something."""

    label: float | str | None
    label_version: int | None
    ts: int
    topic: str | None
    partition: int
    offset: int


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An entry. `is_live` is false once log time passed `expires`, even while the store still has it."""

    expires: int
    is_live: bool
    predictions: list[FoundPrediction]
    label: FoundLabel | None
    is_erased: bool = False


def look_up(view: View, shard: int, identity: bytes) -> Found | None:
    """Return what a shard keeps of one id; None when it has nothing.

    Raises:
        Unavailable: the store is away.
        Corrupt: what it has does not read back.
    """
    packed, snapshot = view.find(shard, identity), view.load(shard)
    if packed is None or snapshot.position is None:
        return None
    return found_in(packed, Shapes(Words.unpack(snapshot.words)), Meta.unpack(snapshot.meta).log_time)


def found_in(packed: bytes, shapes: Shapes, log_time: int) -> Found:
    """Return what the bytes of an entry say, by the shapes among its shard's words.

    Raises:
        Corrupt: they do not read back.
    """
    entry = unpack(packed, shapes)
    return Found(
        expires=entry.expiry,
        is_live=log_time <= entry.expiry,
        predictions=[_prediction(part, shapes) for part in entry.parts],
        label=_label(entry.label, shapes.words) if entry.label and not entry.is_erased else None,
        is_erased=entry.is_erased,
    )


def _prediction(part: bytes, shapes: Shapes) -> FoundPrediction:
    shape = shapes.of(int.from_bytes(part[:2], "little"))
    record = np.frombuffer(part, shape.layout, count=1)[0]
    value: float | str | None
    if shape.is_ranking:
        length = int(record["prediction"])
        value = None if length == NO_LIST else float(length // ITEM_BYTES)
    else:
        value = float(record["prediction"]) if shape.numeric else shapes.words.value(int(record["prediction"]))
    return FoundPrediction(
        model=shape.model,
        model_version=shape.model_version,
        ts=int(record["ts"]),
        prediction=value,
        scores=dict(zip(shape.scores, record["scores"].tolist(), strict=True)),
        segments={
            name.removeprefix(SEGMENT_PREFIX): shapes.words.value(code)
            for name, code in zip(shape.dimensions, record["segments"].tolist(), strict=True)
        },
        served_seq=int(record["served_seq"]),
        served_row=int(record["served_row"]),
    )


def _label(packed: bytes, words: Words) -> FoundLabel:
    record = np.frombuffer(packed, LABEL_RECORD, count=1)[0]
    value = float(record["value"]) / (GAIN_BYTES if record["kind"] == GAINS_LABEL else 1)
    return FoundLabel(
        label=words.value(int(value)) if record["kind"] == CLASS_LABEL else value,
        label_version=int(record["version"]) if record["versioned"] else None,
        ts=int(record["ts"]),
        topic=words.value(int(record["topic"])),
        partition=int(record["partition"]),
        offset=int(record["offset"]),
    )
