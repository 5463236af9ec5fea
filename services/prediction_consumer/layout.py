"""Where each value of a prediction stands: the flat order that decoder, slow path and columns agree on.

prediction | one per score column | inputs: numeric features, categorical ones, other dimensions | one per dimension
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from shared.definition import ColumnKind, Definition
from shared.events.block import SCORE, SCORE_PREFIX
from shared.ingest.rows import Content, Flags, numbers

Scores = tuple[float | None, ...]


class Layout:
    """One definition's positions and types."""

    def __init__(self, definition: Definition) -> None:
        schema, spec = definition.schema, definition.spec
        self.model = definition.model
        self.is_regression = spec.task == "regression"
        self.dimensions = spec.dimensions
        # A dimension need not be a feature of the baseline; events may carry it among the features all the same.
        others = [name for name in spec.dimensions if name not in schema.features]
        self.features = tuple(schema.features)
        # Numbers stand together, so that a block's can be taken at once.
        kinds: dict[str, ColumnKind] = {**schema.features, **dict.fromkeys(others, "categorical")}
        self.inputs = {name: kind for wanted in get_args(ColumnKind) for name, kind in kinds.items() if kind == wanted}
        self.scores = ScoreLayout(definition)
        self.first_number = 0 if self.is_regression else 1
        self.first_input = 1 + len(self.scores.columns)
        self.first_text = self.first_input + sum(kind == "numeric" for kind in kinds.values())
        self.positions = {name: position for position, name in enumerate(self.inputs, self.first_input)}
        self.first_dimension = self.first_input + len(self.inputs)
        # A number that is a dimension, too, is a text as it was written: `1` is `1`, not `1.0`.
        self._numbers_as_texts = [self.positions[name] for name in spec.dimensions if self.inputs[name] == "numeric"]
        self.width = self.first_dimension + len(self.dimensions)
        held = [0] if not self.is_regression else []
        held += [*range(self.first_text, self.width), *self._numbers_as_texts]
        self.texts = {position: place for place, position in enumerate(held)}  # among the texts of a `Content`
        self.bounds = {
            name: (given.min, given.max)
            for name, given in spec.features.items()
            if schema.features.get(name) == "numeric" and (given.min is not None or given.max is not None)
        }

    def content(
        self,
        predictions: Sequence[object],
        scores: Sequence[Sequence[object]],
        inputs: Sequence[Sequence[object]],
        segments: Sequence[Sequence[object]],
        flags: Flags | None = None,
    ) -> Content:
        """Return the content of events from their columns; `flags` are those of the only event."""
        numeric = self.first_text - self.first_input
        values = [*scores, *inputs[:numeric]]
        texts = [*inputs[numeric:], *segments]
        texts += [inputs[position - self.first_input] for position in self._numbers_as_texts]
        (values if self.is_regression else texts).insert(0, predictions)
        return Content(numbers(values, len(predictions)), texts, {0: flags} if flags else {})


class ScoreLayout:
    """Which probabilities an event may name, and how they become score columns."""

    def __init__(self, definition: Definition) -> None:
        schema, spec = definition.schema, definition.spec
        self.columns = tuple(schema.scores)
        self.is_binary = spec.task == "binary"
        named = [column.removeprefix(SCORE_PREFIX) for column in self.columns if column != SCORE]
        positive = [spec.positive] if self.is_binary else []
        self.classes: tuple[str, ...] = tuple(dict.fromkeys([*positive, *named, *schema.classes]))
        self._positions = tuple(self.classes.index(name) for name in named)
        self.absent: Scores = (None,) * len(self.columns)

    def of_classes(self, given: Sequence[Sequence[float | None]]) -> list[Sequence[float | None]]:
        """Return the score columns from columns of probabilities, one for each of `classes`; None: not given.

        Binary: the positive class's, which stands first, or what the only other class leaves.
        """
        if not self.is_binary:
            return [given[position] for position in self._positions]
        if len(self.classes) != 2 or None not in given[0]:
            return [given[0]]
        both = zip(*given, strict=True)
        return [[positive if positive is not None or other is None else 1.0 - other for positive, other in both]]
