"""Labels, decoded: a typed decoder for what is right, and the reason for what is not."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any, Literal

import msgspec
import pyarrow as pa
from msgspec import NODEFAULT

from services.ground_truth_consumer.columns import MAX_LABEL_ROWS, label_batch
from shared.definition import Definition
from shared.errors import Malformed
from shared.events.block import LABEL
from shared.events.ranking import pack_gains
from shared.ingest.codec import Count
from shared.ingest.fields import (
    Int64,
    RequestId,
    check_optional,
    checked_items,
    in_range,
    is_number,
    is_value,
    request_id,
    required,
    timestamp,
)
from shared.ingest.payload import Parsed, are_utf8
from shared.ingest.rows import Content, Decoded, Rows, Times, numbers_of
from shared.ingest.texts import Vocabulary
from shared.ingest.times import milliseconds, one_time
from shared.ingest.unknown import UnknownNames, object_type, present
from shared.unreadable import UNREADABLE
from shared.values import class_text

_WITHOUT_CLASSES = frozenset({"regression", "ranking"})
_TYPES: dict[str, Any] = {"regression": Int64 | float, "ranking": dict[str, float] | list[str | Int64]}

FIELDS = frozenset({"request_id", "model", "ts", "label", "label_version", "source"})


class LabelCodec:
    """`Codec` of one model's labels. Their content is two columns: the label, and its version among the integers."""

    max_rows = MAX_LABEL_ROWS

    def __init__(self, definition: Definition, count: Count) -> None:
        self._model = definition.model
        self._task = definition.spec.task
        self._classes = frozenset(definition.schema.classes)
        self._count = count
        self._fields = UnknownNames()
        self._vocabulary = Vocabulary()
        self._decoder = self._typed()

    def decode(self, payloads: Sequence[bytes]) -> Decoded | None:
        """Return the labels, or None if the typed decoder refuses any, or its class is not declared."""
        try:
            events = list(map(self._decoder.decode, payloads))
        except UNREADABLE:
            return None
        columns = zip(*map(msgspec.structs.astuple, events), strict=True)
        requests, _, times, labels, versions, _, *unknown = columns
        if not all(map(self._is_declared, labels)):
            return None
        try:
            ts_ms = milliseconds(times)
        except Malformed:
            return None
        if unknown:
            if not are_utf8(payloads):
                return None
            self._count("unknown_field", sum(map(present, unknown)))
        try:
            return self._decoded(requests, ts_ms, labels, versions)
        except Malformed:
            return None

    def salvage(self, parsed: Parsed) -> Decoded:
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
        request, ts_ms = request_id(tree), timestamp(tree, optional=False)
        self._check(label)
        decoded = self._decoded([request], one_time(ts_ms), [label], [version])
        unknown = [name for name in tree if name not in FIELDS]
        self._count("unknown_field", len(unknown))
        if self._fields.learn(unknown):
            self._decoder = self._typed()
        return decoded

    def unknown_features(self) -> Set[str]:
        """Return none: a label has no features."""
        return frozenset()

    def batch(self, parts: Sequence[Rows], *, log_time: bool) -> pa.RecordBatch:
        """Return the rows as block columns."""
        return label_batch(parts, self._task, log_time=log_time)

    def _is_declared(self, label: Any) -> bool:
        """Tell whether a label can be true; a baseline without labels and predictions declares no classes."""
        return self._task in _WITHOUT_CLASSES or not self._classes or class_text(label) in self._classes

    def _check(self, label: object) -> None:
        """Refuse what is no label of the task; gains are checked where they are packed."""
        if self._task == "ranking":
            if not isinstance(label, dict):
                checked_items(label, LABEL)
        elif self._task == "regression":
            if not is_number(label):
                raise Malformed(LABEL, "not a number")
        elif not is_value(label):
            raise Malformed(LABEL, "not a class")
        elif not self._is_declared(label):
            raise Malformed(LABEL, "a class that the model does not have")

    def _decoded(
        self, requests: Sequence[str], ts_ms: Times, labels: Sequence[Any], versions: Sequence[Any]
    ) -> Decoded:
        numbers = [labels] if self._task == "regression" else []
        texts = [] if self._task in _WITHOUT_CLASSES else [self._vocabulary.texts(labels)]
        gains = [pack_gains(label) for label in labels] if self._task == "ranking" else []
        content = Content(numbers_of(numbers, len(requests)), texts, integers=[versions], lists=gains)
        return Decoded(requests, [""] * len(requests), ts_ms, content)

    def _typed(self) -> msgspec.json.Decoder[Any]:
        """Return the decoder; its field order is what `decode` unpacks."""
        kind = _TYPES.get(self._task, str | Int64 | float | bool)
        fields = [
            ("request_id", RequestId, NODEFAULT),
            ("model", Literal[self._model], NODEFAULT),
            ("ts", str, NODEFAULT),
            ("label", kind, NODEFAULT),
            ("label_version", Int64 | None, None),
            ("source", str | None, None),
        ]
        return msgspec.json.Decoder(object_type("Label", fields, self._fields))
