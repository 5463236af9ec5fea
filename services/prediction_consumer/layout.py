"""Where each value of a prediction stands: the flat order that decoder, slow path and columns agree on.

prediction | one per score column | inputs: numeric features, categorical ones, other dimensions | one per dimension

The texts of a `Content` are those from the first categorical feature on, and last the prediction if it is a class: of a
ranking its first item, and the whole list is among the `lists`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import get_args

import numpy as np
from msgspec import UNSET

from shared.definition import ColumnKind, Definition
from shared.errors import ConfigurationError
from shared.events.block import PREDICTION, SCORE, SCORE_PREFIX
from shared.events.ranking import item_texts, pack_items
from shared.identity import IdKey
from shared.ingest.rows import Content, Flags, numbers_of
from shared.ingest.texts import Texts, Vocabulary

TOLERANCE = 1e-6  # how far a probability may be outside [0, 1]
ROUNDING = 0.005  # of a probability with two decimals

Scores = tuple[float | None, ...]


class Layout:
    """One definition's positions and types."""

    def __init__(self, definition: Definition, id_key: IdKey) -> None:
        schema, spec = definition.schema, definition.spec
        if definition.id_key and definition.id_key != id_key.fingerprint:
            raise ConfigurationError(
                "DRIFTLINE_ID_KEY", f"is not the key that the baseline of {definition.model} was hashed with"
            )
        self.model = definition.model
        self.is_regression, self.is_ranking = spec.task == "regression", spec.task == "ranking"
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
        self.width = self.first_dimension + len(self.dimensions)
        texts = [*self.inputs][self.first_text - self.first_input :], self.dimensions
        self._vocabularies = [
            *(Vocabulary(id_key.levels(self.model, name) if name in spec.hashed else str) for name in chain(*texts)),
            Vocabulary(),  # of the prediction
        ]
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
        segments: Sequence[Sequence[object]] | None,
        flags: Flags | None = None,
    ) -> Content:
        """Return the content of events from their columns.

        segments: a column per dimension, UNSET where an event does not give it; None: no event gives any.
        flags: those of the only event.

        Raises:
            Malformed: `prediction`, for a ranking that is none.
        """
        numeric = self.first_text - self.first_input
        values = [*scores, *inputs[:numeric]]
        texts: list[Texts] = []
        lists: list[bytes | None] = []

        def text(column: Sequence[object]) -> None:
            texts.append(self._vocabularies[len(texts)].texts(column))

        for column in inputs[numeric:]:
            text(column)
        for place, name in enumerate(self.dimensions):
            feature = self.positions[name] - self.first_input
            if segments is None and feature >= numeric:
                texts.append(texts[feature - numeric])
            else:  # a number, too, is a text as it was written: `1` is `1`, not `1.0`
                text(inputs[feature] if segments is None else _or_feature(segments[place], inputs[feature]))
        if self.is_regression:
            values.insert(0, predictions)
        elif self.is_ranking:
            rankings = [None if items is None else item_texts(items, PREDICTION) for items in predictions]
            text([items[0] if items else None for items in rankings])
            lists = [None if items is None else pack_items(items) for items in rankings]
        else:
            text(predictions)
        return Content(numbers_of(values, len(predictions)), texts, {0: flags} if flags else {}, lists=lists)


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
        self._slack = ROUNDING * len(self.classes) + TOLERANCE
        self.absent: Scores = (None,) * len(self.columns)

    def sum_to_one(self, given: Sequence[Sequence[float | None]]) -> bool:
        """Tell whether probabilities of all classes sum to 1 as nearly as rounding to two decimals leaves them.

        given: a column for each of `classes`; where a class is not given, nothing can be said.
        """
        if len(self.classes) < 2:
            return True
        sums = numbers_of(given, len(given[0])).sum(axis=0)
        return not (np.abs(sums - 1.0) > self._slack).any()

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


def _or_feature(given: Sequence[object], feature: Sequence[object]) -> Sequence[object]:
    """Return the values of a dimension: the event's `segments`, else the feature of that name."""
    return [other if value is UNSET else value for value, other in zip(given, feature, strict=True)]
