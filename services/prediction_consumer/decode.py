"""Predictions, decoded: one pass of a typed decoder built from the definition, a slow path for what it refuses."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Annotated, Any, Literal

import msgspec
import pyarrow as pa
from msgspec import NODEFAULT, UNSET, Meta, Raw, UnsetType

from services.prediction_consumer.columns import PredictionColumns
from services.prediction_consumer.layout import TOLERANCE, Layout
from services.prediction_consumer.salvage import Salvage
from services.prediction_consumer.service import service_of
from shared.definition import Definition
from shared.errors import Malformed
from shared.identity import IdKey
from shared.ingest.codec import Count
from shared.ingest.fields import Int64, RequestId
from shared.ingest.payload import Parsed, are_utf8
from shared.ingest.rows import Decoded, Rows
from shared.ingest.times import milliseconds
from shared.ingest.unknown import Field, UnknownNames, object_type, present
from shared.unreadable import UNREADABLE

MAX_VERSIONS = 1_000  # remembered as well-formed; more of them only cost the slow path

_NUMBER = Int64 | float
_NO_VERSION = "\0"  # until the first is known; none is called so
_VALUE = str | Int64 | float | bool
_PROBABILITY = Annotated[float, Meta(ge=-TOLERANCE, le=1 + TOLERANCE)]


class PredictionCodec:
    """`Codec` of one model's predictions."""

    def __init__(self, definition: Definition, count: Count, id_key: IdKey) -> None:
        self._layout = Layout(definition, id_key)
        self._count = count
        self._columns = PredictionColumns(self._layout, count)
        self._salvage = Salvage(self._layout, count)
        self._versions: list[str] = []
        self._fields, self._features = UnknownNames(), UnknownNames()
        self._segments = (UNSET,) * len(self._layout.dimensions)
        self._inputs = len(self._layout.inputs)
        self._decoder = self._typed()
        self.max_rows = self._columns.max_rows

    def decode(self, payloads: Sequence[bytes]) -> Decoded | None:
        """Return the predictions, or None if the typed decoder refuses any, or one is of another model or version."""
        try:
            events = list(map(self._decoder.decode, payloads))
        except UNREADABLE:
            return None
        columns = zip(*map(_values, events), strict=True)
        requests, _, versions, features, predictions, times, scores, segments, latencies, errors, *unknown = columns
        if None in predictions and not all(map(_is_answered, predictions, errors)):
            return None
        try:
            ts_ms = milliseconds(times)
        except Malformed:
            return None
        if self._keeps_raw and not are_utf8(payloads):
            return None
        by_column = self._scores(scores)
        if by_column is None:
            return None
        if unknown:
            self._count("unknown_field", sum(map(present, unknown)))
        inputs = list(zip(*map(_values, features), strict=True))
        if len(inputs) > self._inputs:
            came = [*map(present, inputs[self._inputs :])]
            self._count("unknown_feature", sum(came))
            self._features.saw(came)
        try:
            content = self._layout.content(predictions, by_column, inputs[: self._inputs], self._dimensions(segments))
        except Malformed:
            return None
        service = service_of(latencies, errors)
        return Decoded(requests, versions, ts_ms, content if service is None else content._replace(service=service))

    def salvage(self, parsed: Parsed) -> Decoded:
        """Return what can be used of a prediction, and learn its unknown names for the next one."""
        decoded = self._salvage.decoded(parsed)
        version = decoded.versions[0]
        is_new = version not in self._versions and len(self._versions) < MAX_VERSIONS
        if is_new:
            self._versions.append(version)
        fields, features = self._salvage.unknown(parsed)
        self._count("unknown_field", len(fields))
        self._count("unknown_feature", len(features))
        if self._fields.learn(fields) | self._features.learn(features) | is_new:
            self._decoder = self._typed()
        return decoded

    def unknown_features(self) -> Set[str]:
        """Return the names of unknown features that came since the last call."""
        return self._features.came()

    def batch(self, parts: Sequence[Rows], *, log_time: bool) -> pa.RecordBatch:
        """Return the rows as block columns."""
        return self._columns.batch(parts, log_time=log_time)

    def _scores(self, given: Sequence[Any]) -> Sequence[Sequence[float | None]] | None:
        """Return a column for each score; None where probabilities do not sum to 1."""
        layout = self._layout.scores
        kinds = set(map(type, given))
        if not layout.columns or kinds == {type(None)}:
            return [[None] * len(given)] * len(layout.columns)
        if kinds == {float}:
            return [given]
        if kinds.isdisjoint({float, type(None)}):
            by_class = [*zip(*map(_values, given), strict=True)]
        else:
            others = (None,) * (len(layout.classes) - 1)
            rows = [(one, *others) if one is None or type(one) is float else _values(one) for one in given]
            by_class = [*zip(*rows, strict=True)]
        return layout.of_classes(by_class) if layout.sum_to_one(by_class) else None

    def _dimensions(self, given: Sequence[Any]) -> Sequence[Sequence[object]] | None:
        if not any(given):
            return None
        return [*zip(*[self._segments if one is None else _values(one) for one in given], strict=True)]

    @property
    def _keeps_raw(self) -> bool:
        """Tell whether the decoder leaves parts of events as they stand."""
        return bool(self._fields.names or self._features.names) or not self._layout.scores.columns

    def _typed(self) -> msgspec.json.Decoder[Any]:
        """Return the decoder; its field order is what `decode` unpacks."""
        layout = self._layout
        kinds = {"numeric": _NUMBER | None, "categorical": _VALUE | None}
        inputs: list[Field] = [(name, kinds[kind], None) for name, kind in layout.inputs.items()]
        event: list[Field] = [
            ("request_id", RequestId, NODEFAULT),
            ("model", Literal[layout.model], NODEFAULT),
            ("model_version", Literal[tuple(self._versions or [_NO_VERSION])], NODEFAULT),
            ("features", object_type("Features", inputs, self._features), NODEFAULT),
            ("prediction", self._prediction_type() | None, None),
            ("ts", str | None, None),
            ("scores", self._scores_type(), None),
            ("segments", self._segments_type() | None, None),
            ("latency_ms", float | None, None),
            ("error", str | None, None),
        ]
        return msgspec.json.Decoder(object_type("Prediction", event, self._fields))

    def _prediction_type(self) -> Any:
        if self._layout.is_ranking:
            return list[str | Int64]
        return _NUMBER if self._layout.is_regression else _VALUE

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


def _is_answered(prediction: object, error: str | None) -> bool:
    """Tell whether an event has a prediction, or says why it has none."""
    return prediction is not None or bool(error)


_values = msgspec.structs.astuple
