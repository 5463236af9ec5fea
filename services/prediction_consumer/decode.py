"""Predictions, decoded: one pass of a typed decoder built from the definition, a slow path for what it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Annotated, Any

import msgspec
import pyarrow as pa
from msgspec import NODEFAULT, UNSET, Meta, Raw, UnsetType

from services.prediction_consumer.columns import PredictionColumns
from services.prediction_consumer.layout import Layout, Scores
from services.prediction_consumer.salvage import TOLERANCE, Salvage
from shared.definition import Definition
from shared.ingest.codec import Count, Half, Row
from shared.ingest.fields import Int64, RequestId, Timestamp, milliseconds
from shared.ingest.payload import Parsed
from shared.ingest.unknown import Field, UnknownNames, object_type, present

MAX_VERSIONS = 1_000  # remembered as well-formed; more of them only cost the slow path

_NUMBER = Int64 | float
_VALUE = str | Int64 | float | bool
_PROBABILITY = Annotated[float, Meta(ge=-TOLERANCE, le=1 + TOLERANCE)]


class PredictionCodec:
    """`Codec` of one model's predictions."""

    def __init__(self, definition: Definition, count: Count) -> None:
        self._layout = Layout(definition)
        self._count = count
        self._columns = PredictionColumns(self._layout, count)
        self._salvage = Salvage(self._layout, count)
        self._versions: set[tuple[str, str]] = set()  # of this model, in the form of `_version_of`
        self._fields, self._features = UnknownNames(), UnknownNames()
        self._segments = (UNSET,) * len(self._layout.dimensions)
        self._inputs = len(self._layout.inputs)
        self._decoder = self._typed()
        self.max_rows = self._columns.max_rows

    def decode(self, payloads: Sequence[bytes]) -> Sequence[Half | None]:
        """Return each prediction, or None where the typed decoder refuses it."""
        try:
            return self._halves(list(map(self._decoder.decode, payloads)))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return [None] if len(payloads) == 1 else [half for one in payloads for half in self.decode([one])]

    def _halves(self, events: Sequence[Any]) -> Sequence[Half | None]:
        """Return what the typed decoder found, column by column; None for what is of another model or version."""
        if not self._versions.issuperset(map(_version_of, events)):
            if len(events) == 1:
                return [None]
            return [half for event in events for half in self._halves([event])]
        columns = zip(*map(_values, events), strict=True)
        requests, _, versions, features, predictions, times, scores, segments, _, _, *unknown = columns
        if unknown:
            self._count("unknown_field", sum(map(present, unknown)))
        inputs = list(map(_values, features))
        if len(inputs[0]) > self._inputs:
            self._count("unknown_feature", sum(present(given[self._inputs :]) for given in inputs))
            inputs = [given[: self._inputs] for given in inputs]
        dimensions = [self._segments if given is None else _values(given) for given in segments]
        contents = [
            (prediction, *score, *given, *dimension)
            for prediction, score, given, dimension in zip(
                predictions, map(self._scores, scores), inputs, dimensions, strict=True
            )
        ]
        return list(map(Half, requests, versions, map(milliseconds, times), contents))

    def salvage(self, parsed: Parsed) -> Half:
        """Return what can be used of a prediction, and learn its unknown names for the next one."""
        half = self._salvage.half(parsed)
        if len(self._versions) < MAX_VERSIONS:
            self._versions.add((self._layout.model, half.model_version))
        fields, features = self._salvage.unknown(parsed)
        self._count("unknown_field", len(fields))
        self._count("unknown_feature", len(features))
        if self._fields.learn(fields) | self._features.learn(features):
            self._decoder = self._typed()
        return half

    def batch(self, rows: Sequence[Row], *, log_time: bool) -> pa.RecordBatch:
        """Return the rows as block columns."""
        return self._columns.batch(rows, log_time=log_time)

    def _scores(self, given: Any) -> Scores:
        layout = self._layout.scores
        if given is None or not layout.columns:
            return layout.absent
        if isinstance(given, float):
            return (given,)
        return layout.of_classes(_values(given))

    def _typed(self) -> msgspec.json.Decoder[Any]:
        """Return the decoder; its field order is what `decode` unpacks."""
        layout = self._layout
        kinds = {"numeric": _NUMBER | None, "categorical": _VALUE | None}
        inputs: list[Field] = [(name, kinds[kind], None) for name, kind in layout.inputs.items()]
        event: list[Field] = [
            ("request_id", RequestId, NODEFAULT),
            ("model", str, NODEFAULT),
            ("model_version", str, NODEFAULT),
            ("features", object_type("Features", inputs, self._features), NODEFAULT),
            ("prediction", _NUMBER if layout.is_regression else _VALUE, NODEFAULT),
            ("ts", Timestamp | None, None),
            ("scores", self._scores_type(), None),
            ("segments", self._segments_type() | None, None),
            ("latency_ms", float | None, None),
            ("error", str | None, None),
        ]
        return msgspec.json.Decoder(object_type("Prediction", event, self._fields))

    def _scores_type(self) -> Any:
        layout = self._layout.scores
        if not layout.columns:
            return Raw | None
        by_class: list[Field] = [(name, _PROBABILITY | None, None) for name in layout.classes]
        kind = object_type("Scores", by_class, UnknownNames()) | None
        return kind | _PROBABILITY if layout.is_binary else kind

    def _segments_type(self) -> Any:
        fields = [(f"f{i}", _VALUE | UnsetType | None, UNSET) for i in range(len(self._layout.dimensions))]
        renamed = {f"f{i}": name for i, name in enumerate(self._layout.dimensions)}
        return msgspec.defstruct("Segments", fields, rename=renamed, frozen=True, gc=False)


_values = msgspec.structs.astuple
_version_of = attrgetter("f1", "f2")  # of a decoded event: its model, and its version
