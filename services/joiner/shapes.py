"""Shapes: what the predictions of one model version look like, named by one word, so that entries hold only values.

A packed prediction is one numpy record; whole blocks are packed and unpacked at once, rows are slices of bytes. Of a
model that ranks, the bytes of the row's items follow.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.joiner.columns import coded, integers, is_number, lists, numbers
from services.joiner.words import OTHER, Words
from shared.errors import Corrupt
from shared.events.block import DIGEST, ITEMS, PREDICTION, SCORE, SCORE_PREFIX, SEGMENT_PREFIX, TS, Block
from shared.unreadable import UNREADABLE

HEAD = np.dtype([("shape", "<u2"), ("served_seq", "<u8"), ("served_row", "<u2"), ("digest", "<u8")])
DIGEST_AT = HEAD.itemsize - 8
PREDICTION_AT = HEAD.itemsize + 8  # in a record: after its time
NO_LIST = (1 << 16) - 1


class _Columns(msgspec.Struct, array_like=True, frozen=True):
    model_version: str
    numeric: bool | None  # the prediction is a number; False: a class; None: a list of items
    scores: tuple[str, ...]
    dimensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shape:
    """One interned shape and the record that holds a prediction of it."""

    code: int
    model: str
    model_version: str
    numeric: bool
    is_ranking: bool  # items follow the record; `prediction` is how many bytes they take, NO_LIST where there are none
    scores: tuple[str, ...]
    dimensions: tuple[str, ...]
    layout: np.dtype[np.void]
    width: int  # bytes of one packed prediction, without items

    def items(self, packed: bytes, at: int) -> int:
        """Return how many bytes the items take of a ranking whose record is in `packed` from `at` on."""
        first = at + PREDICTION_AT
        length = packed[first] | packed[first + 1] << 8
        return 0 if length == NO_LIST else length


class Shapes:
    """The shapes among a shard's words."""

    def __init__(self, words: Words) -> None:
        self.words = words
        self._by_code: dict[int, Shape] = {}

    def of(self, code: int) -> Shape:
        """Return the shape of a code in an entry.

        Raises:
            Corrupt: no such word, or it names no shape.
        """
        shape = self._by_code.get(code)
        if shape is None:
            namespace, text = self.words.word(code)
            try:
                columns = msgspec.json.decode(text, type=_Columns)
            except UNREADABLE as exc:
                raise Corrupt(f"the view's word {code} is no shape ({exc})") from exc
            layout = _layout(columns)
            shape = Shape(
                code,
                namespace.partition("\0")[2],
                columns.model_version,
                columns.numeric is True,
                columns.numeric is None,
                columns.scores,
                columns.dimensions,
                layout,
                layout.itemsize,
            )
            self._by_code[code] = shape
        return shape

    def admit(self, block: Block, batch: pa.RecordBatch) -> Shape | None:
        """Return the shape of a block of predictions; None when the model has had too many shapes to name another."""
        names = batch.schema.names
        columns = _Columns(
            block.model_version,
            None if ITEMS in names else is_number(batch.column(PREDICTION)),
            tuple(name for name in names if name == SCORE or name.startswith(SCORE_PREFIX)),
            tuple(name for name in names if name.startswith(SEGMENT_PREFIX)),
        )
        code = self.words.code(f"shape\0{block.model}", msgspec.json.encode(columns).decode())
        return None if code == OTHER else self.of(code)


def pack_predictions(shape: Shape, batch: pa.RecordBatch, words: Words) -> NDArray[np.void]:
    """Return one record a row, all but where its Served row went."""
    packed = np.zeros(batch.num_rows, shape.layout)
    packed["shape"] = shape.code
    packed["digest"] = np.asarray(batch.column(DIGEST).to_numpy(zero_copy_only=False)).astype(np.uint64)
    packed["ts"] = integers(batch, TS)
    if shape.is_ranking:
        packed["prediction"] = [NO_LIST if items is None else len(items) for items in lists(batch, ITEMS)]
    elif shape.numeric:
        packed["prediction"] = numbers(batch, PREDICTION)
    else:
        packed["prediction"] = coded(batch.column(PREDICTION), words, class_namespace(shape.model))
    for at, name in enumerate(shape.scores):
        packed["scores"][:, at] = numbers(batch, name)
    for at, name in enumerate(shape.dimensions):
        packed["segments"][:, at] = coded(batch.column(name), words, f"{name}\0{shape.model}")
    return packed


def class_namespace(model: str) -> str:
    """Return where predicted classes and labels of a model meet."""
    return f"class\0{model}"


def _layout(columns: _Columns) -> np.dtype[np.void]:
    fields: list[tuple[str, str] | tuple[str, str, tuple[int]]] = [(name, HEAD[name].str) for name in HEAD.names or ()]
    fields += [
        ("ts", "<i8"),
        ("prediction", "<f8" if columns.numeric else "<u2"),
        ("scores", "<f8", (len(columns.scores),)),
        ("segments", "<u2", (len(columns.dimensions),)),
    ]
    return np.dtype(fields)
