"""Labels, decoded: a typed decoder for what is right, and the reason for what is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pyarrow as pa
from msgspec import NODEFAULT

from services.ground_truth_consumer.columns import MAX_LABEL_ROWS, label_batch
from shared.definition import Definition
from shared.errors import Malformed
from shared.ingest.codec import Count, Half, Row
from shared.ingest.fields import (
    Int64,
    RequestId,
    Timestamp,
    check_optional,
    in_range,
    is_number,
    is_value,
    milliseconds,
    request_id,
    required,
    timestamp,
)
from shared.ingest.payload import Parsed
from shared.ingest.unknown import UnknownNames, object_type, present
from shared.values import class_text

FIELDS = frozenset({"request_id", "model", "ts", "label", "label_version", "source"})


class LabelCodec:
    """`Codec` of one model's labels. A row's content is (label, label_version)."""

    max_rows = MAX_LABEL_ROWS

    def __init__(self, definition: Definition, count: Count) -> None:
        self._model = definition.model
        self._is_regression = definition.spec.task == "regression"
        self._classes = frozenset(definition.schema.classes)
        self._count = count
        self._fields = UnknownNames()
        self._decoder = self._typed()

    def decode(self, payloads: Sequence[bytes]) -> Sequence[Half | None]:
        """Return each label, or None where the typed decoder refuses it or its class is not declared."""
        return [self._half(payload) for payload in payloads]

    def _half(self, payload: bytes) -> Half | None:
        try:
            event = self._decoder.decode(payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        request, model, ts, label, version, _, *unknown = msgspec.structs.astuple(event)
        if model != self._model or not self._is_declared(label):
            return None
        if unknown:
            self._count("unknown_field", present(unknown))
        return Half(request, "", milliseconds(ts), (label, version))

    def salvage(self, parsed: Parsed) -> Half:
        """Return the label of an event with unknown fields, and learn their names for the next one.

        Raises:
            Malformed: `json` (a NaN literal), `schema`, `type`, `id`, `ts`, `range` or `label`.
        """
        tree = parsed.tree
        if parsed.literals:
            raise Malformed("json", "a NaN or Infinity literal in a label")
        label, version = required(tree, "label"), tree.get("label_version")
        in_range(label)
        check_optional(tree, "label_version", int)
        if isinstance(version, int) and not -(1 << 63) <= version < 1 << 63:
            raise Malformed("range", "a label_version of more than 64 bits")
        check_optional(tree, "source", str)
        half = Half(request_id(tree), "", timestamp(tree, optional=False), (label, version))
        if not (is_number(label) if self._is_regression else is_value(label)):
            raise Malformed("label", "not a number" if self._is_regression else "not a class")
        if not self._is_declared(label):
            raise Malformed("label", "a class that the model does not have")
        unknown = [name for name in tree if name not in FIELDS]
        self._count("unknown_field", len(unknown))
        if self._fields.learn(unknown):
            self._decoder = self._typed()
        return half

    def batch(self, rows: Sequence[Row], *, log_time: bool) -> pa.RecordBatch:
        """Return the rows as block columns."""
        return label_batch(rows, is_regression=self._is_regression, log_time=log_time)

    def _is_declared(self, label: Any) -> bool:
        """Tell whether a label can be true; a baseline without labels and predictions declares no classes."""
        return self._is_regression or not self._classes or class_text(label) in self._classes

    def _typed(self) -> msgspec.json.Decoder[Any]:
        """Return the decoder; its field order is what `decode` unpacks."""
        kind = Int64 | float if self._is_regression else str | Int64 | float | bool
        fields = [
            ("request_id", RequestId, NODEFAULT),
            ("model", str, NODEFAULT),
            ("ts", Timestamp, NODEFAULT),
            ("label", kind, NODEFAULT),
            ("label_version", Int64 | None, None),
            ("source", str | None, None),
        ]
        return msgspec.json.Decoder(object_type("Label", fields, self._fields))
