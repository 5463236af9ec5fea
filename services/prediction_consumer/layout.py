"""Where each value of a prediction stands: the flat order that decoder, slow path and columns agree on.

prediction | one per score column | inputs: numeric features, categorical ones, other dimensions | one per dimension
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from shared.definition import ColumnKind, Definition
from shared.events.block import SCORE, SCORE_PREFIX

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
        self.width = self.first_dimension + len(self.dimensions)
        self.bounds = {
            name: (given.min, given.max)
            for name, given in spec.features.items()
            if schema.features.get(name) == "numeric" and (given.min is not None or given.max is not None)
        }


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

    def of_classes(self, given: Sequence[float | None]) -> Scores:
        """Return the score columns of probabilities in the order of `classes`; None where one is not given.

        Binary: the positive class's, which stands first, or what the only other class leaves.
        """
        if not self.is_binary:
            return tuple([given[i] for i in self._positions])
        if given[0] is not None or len(given) != 2 or given[1] is None:
            return (given[0],)
        return (1.0 - given[1],)
