"""The slow path: what can be used of a prediction that the typed decoder refused.

A bad feature or a score of a wrong type is missing, flagged and counted; anything else makes the event malformed.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import UNSET

from services.prediction_consumer.layout import TOLERANCE, Layout, Scores
from services.prediction_consumer.service import service_of
from shared.errors import Malformed
from shared.events.block import FLAG_NOT_FINITE, FLAG_TYPE_ERROR, PREDICTION
from shared.ingest.codec import Count
from shared.ingest.fields import (
    Tree,
    check_optional,
    checked_items,
    in_range,
    is_number,
    is_value,
    name_of,
    request_id,
    required,
    timestamp,
)
from shared.ingest.payload import NOT_FINITE, Parsed
from shared.ingest.rows import Decoded
from shared.ingest.times import one_time
from shared.monitors import MAX_FEATURES
from shared.values import class_text

FIELDS = frozenset(
    {
        "request_id",
        "model",
        "model_version",
        "ts",
        "features",
        "prediction",
        "scores",
        "segments",
        "latency_ms",
        "error",
    }
)

_SEEN_AS = {FLAG_TYPE_ERROR: "type_error", FLAG_NOT_FINITE: "not_finite"}
Flags = dict[int, int]


class Salvage:
    """Reads untyped predictions of one definition."""

    def __init__(self, layout: Layout, count: Count) -> None:
        self._layout = layout
        self._count = count

    def decoded(self, parsed: Parsed) -> Decoded:
        """Return the prediction.

        Raises:
            Malformed: `json` (a NaN literal that is no feature or score), `schema`, `type`, `charset`, `id`, `ts`,
                `prediction`, `score`, `shape` or `range`.
        """
        tree = parsed.tree
        if parsed.literals != _literals(tree):
            raise Malformed("json", "a NaN or Infinity literal that is neither a feature nor a score")
        flags: Flags = {}
        check_optional(tree, "latency_ms", int, float)
        check_optional(tree, "error", str)
        features = _object(required(tree, "features"), "features")
        request, version, ts_ms = request_id(tree), name_of(tree, "model_version"), timestamp(tree, optional=True)
        content = self._layout.content(
            [self._prediction(tree)],
            [[score] for score in self._scores(tree.get("scores"), flags)],
            [[value] for value in self._inputs(features, flags)],
            [[value] for value in self._segments(tree.get("segments"))],
            flags,
        )
        for bit in flags.values():
            self._count(_SEEN_AS[bit], 1)
        service = service_of([tree.get("latency_ms")], [tree.get("error")])
        return Decoded([request], [version], one_time(ts_ms), content._replace(service=service))

    def unknown(self, parsed: Parsed) -> tuple[list[str], list[str]]:
        """Return the names of fields and features that nobody asked for."""
        tree = parsed.tree
        fields = [name for name in tree if name not in FIELDS]
        return fields, [name for name in tree["features"] if name not in self._layout.inputs]

    def _prediction(self, tree: Tree) -> object:
        if tree.get("error") and tree.get("prediction") is None:
            return None  # the service failed: there is no answer to count
        value = required(tree, "prediction")
        if self._layout.is_ranking:
            return checked_items(value, PREDICTION)
        in_range(value)
        if not (is_number(value) if self._layout.is_regression else is_value(value)):
            raise Malformed("prediction", "not a number" if self._layout.is_regression else "not a class")
        return value

    def _inputs(self, features: Tree, flags: Flags) -> list[object]:
        if len(features) > MAX_FEATURES:
            raise Malformed("shape", f"{len(features)} features; at most {MAX_FEATURES}")
        values: list[object] = []
        for position, (name, kind) in enumerate(self._layout.inputs.items(), self._layout.first_input):
            value = features.get(name)
            in_range(value)
            fits = is_number(value) if kind == "numeric" else is_value(value)
            flag = _flag(value, fits=fits)
            if flag:
                flags[position] = flag
            values.append(None if flag else value)
        return values

    def _scores(self, given: object, flags: Flags) -> Scores:
        layout = self._layout.scores
        if given is None or not layout.columns:
            return layout.absent
        if isinstance(given, dict):
            return self._by_class(given, flags)
        flag = _flag(given, fits=is_number(given) and layout.is_binary)
        if flag or not is_number(given):
            flags.update(dict.fromkeys(range(1, 1 + len(layout.columns)), flag))
            return layout.absent
        return (_probability(given),)

    def _by_class(self, given: Tree, flags: Flags) -> Scores:
        layout = self._layout.scores
        probabilities: list[float | None] = [None] * len(layout.classes)
        marks = [0] * len(layout.classes)
        for name, value in given.items():
            position = self._class_position(name)
            marks[position] = _flag(value, fits=is_number(value))
            probabilities[position] = _probability(value) if is_number(value) else None
        if not layout.sum_to_one([[probability] for probability in probabilities]):
            raise Malformed("score", "probabilities that do not sum to 1")
        scores = tuple(score for (score,) in layout.of_classes([[probability] for probability in probabilities]))
        by_column = [[max(marks)]] if layout.is_binary else layout.of_classes([[mark] for mark in marks])
        for position, (score, (mark,)) in enumerate(zip(scores, by_column, strict=True), 1):
            if score is None and mark:
                flags[position] = int(mark)
        return scores

    def _class_position(self, name: str) -> int:
        classes = self._layout.scores.classes
        for text in (class_text(name), _as_number(name)):
            if text in classes:
                return classes.index(text)
        raise Malformed("score", "a class that the model does not have")

    def _segments(self, given: object) -> list[object]:
        segments = {} if given is None else _object(given, "segments")
        values = [segments.get(name, UNSET) for name in self._layout.dimensions]
        for value in values:
            in_range(value)
            if value is not None and value is not UNSET and not is_value(value):
                raise Malformed("type", "a segment's value is a list or an object")
        return values


def _literals(tree: Tree) -> int:
    """Return how many NaN and Infinity literals stand where they are allowed."""
    features, scores = tree.get("features"), tree.get("scores")
    found = [*features.values()] if isinstance(features, dict) else []
    found += [*scores.values()] if isinstance(scores, dict) else [scores]
    return sum(value == NOT_FINITE for value in found)


def _object(value: object, name: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise Malformed("type", f"{name} is not an object")
    return value


def _flag(value: object, *, fits: bool) -> int:
    if value == NOT_FINITE:
        return FLAG_NOT_FINITE
    return 0 if value is None or fits else FLAG_TYPE_ERROR


def _probability(value: float) -> float:
    if not -TOLERANCE <= value <= 1 + TOLERANCE:
        raise Malformed("score", "a probability outside [0, 1]")
    return value


def _as_number(name: str) -> str | None:
    """Return the class that `1.0` means as the name of a class."""
    try:
        return class_text(float(name))
    except (ValueError, OverflowError):
        return None
