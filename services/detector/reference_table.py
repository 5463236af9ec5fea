"""A reference table as typed columns: which are features, of what kind, and what each row holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from services.detector.baseline import GATE_PSI, Role
from services.detector.reference_rankings import with_rankings
from services.detector.signals.columns import Codes, is_number, numbers, translated
from services.detector.statistics.arrays import BoolArray
from services.detector.structs import FloatArray, IntArray
from shared.definition import ColumnKind
from shared.errors import ConfigurationError, Malformed
from shared.events.block import FEATURE_PREFIX, ITEMS, LABEL, LABEL_TS, PREDICTION, SCORE, SCORE_PREFIX, TS
from shared.monitors import MAX_FEATURES, ModelSpec
from shared.values import parse_ts

_NOT_FEATURES = frozenset({"request_id", "model_version", TS, PREDICTION, ITEMS, SCORE, LABEL, LABEL_TS})
_PLAIN_FEATURE, _SEGMENT, _SCORE_OF = "features.", "seg_", "score_"


def plain_name(column: str) -> str:
    """Return the feature or segment dimension that a column of a reference holds, if it holds one."""
    if column in _NOT_FEATURES:
        return ""
    return column.removeprefix(_PLAIN_FEATURE) if column.startswith(_PLAIN_FEATURE) else column.removeprefix(_SEGMENT)


@dataclass(frozen=True, slots=True)
class ReferenceColumn:
    """One column to be watched. Numeric: `values` with NaN missing; else `codes` into `texts`, -1 missing."""

    name: str
    source: str
    role: Role
    kind: ColumnKind
    values: FloatArray
    codes: Codes
    texts: list[str]
    minimum: float | None = None
    maximum: float | None = None
    outside: int = 0  # rows outside the range, which are missing
    gate: float = GATE_PSI  # of the column's changes

    @property
    def is_numeric(self) -> bool:
        """Tell whether `values` holds the column."""
        return self.kind == "numeric"


class ReferenceTable:
    """The reference of one model, read column by column.

    classes: the model's, where they are known beforehand; else those that the rows have.

    Raises:
        ConfigurationError: a column that cannot be used; names `models.<model>.reference` and the column.
    """

    def __init__(self, model: str, spec: ModelSpec, table: pa.Table, classes: Sequence[str] = ()) -> None:
        self.path = f"models.{model}.reference"
        self.model = model
        self.spec = spec
        self.table = with_rankings(self.path, table) if spec.task == "ranking" else table
        self.rows = table.num_rows
        if self.rows == 0:
            raise ConfigurationError(self.path, "holds no rows")
        repeated = [name for name in table.column_names if table.column_names.count(name) > 1]
        if repeated:
            raise ConfigurationError(self.path, f"column {repeated[0]!r} is given twice")
        self.ts = self._times(TS) if self.has(TS) else None
        self.classes = self._classes(classes)

    @property
    def in_time_order(self) -> bool:
        """Tell whether rows stand in the order of `ts`; without one nothing is known of their order."""
        return self.ts is not None and bool((np.diff(self.ts) >= 0).all())

    def columns(self) -> list[ReferenceColumn]:
        """Return every watched column: features in table order, `prediction`, scores."""
        found = [*self._features(), *self._outputs()]
        known = {column.name for column in found if column.role == "feature"}
        for name in self.spec.features:
            is_dimension = self.spec.features[name].hash and name in self.spec.dimensions
            if name not in known and not is_dimension:
                raise ConfigurationError(
                    f"models.{self.model}.features.{name}", "no column of the reference has this name"
                )
        if len(known) > MAX_FEATURES:
            raise ConfigurationError(self.path, f"{len(known)} features; at most {MAX_FEATURES}")
        return found

    def texts(self, name: str) -> tuple[Codes, list[str]]:
        """Return a column as categories: codes (-1 missing) into the list of its texts, in order of occurrence."""
        texts: list[str] = []
        places: dict[str, int] = {}

        def code(text: str) -> int:
            if text not in places:
                places[text] = len(texts)
                texts.append(text)
            return places[text]

        self._require_scalar(name)
        return translated(self.table.column(name), code, -1), texts

    def dimension(self, name: str) -> tuple[Codes, list[str]]:
        """Return a segment dimension: `seg_<name>`, else the feature of that name."""
        for candidate in (f"{_SEGMENT}{name}", name, f"{_PLAIN_FEATURE}{name}"):
            if candidate in self.table.column_names and candidate not in _NOT_FEATURES:
                return self.texts(candidate)
        raise ConfigurationError(
            f"models.{self.model}.segments", f"{name}: the reference has no column {_SEGMENT}{name} and no {name}"
        )

    def numbers(self, name: str) -> FloatArray:
        """Return a column of numbers; NaN is missing."""
        kind = self.table.column(name).type
        if not (is_number(kind) or pa.types.is_boolean(kind)):
            raise ConfigurationError(self.path, f"column {name!r} holds {kind}, not numbers")
        return numbers(self.table.column(name))

    def has(self, name: str) -> bool:
        """Tell whether the table has a column of that name."""
        return name in self.table.column_names

    def _features(self) -> Iterator[ReferenceColumn]:
        seen: set[str] = set()
        for column in self.table.column_names:
            name = column.removeprefix(_PLAIN_FEATURE)
            named_plainly = name == column
            if named_plainly and (column in _NOT_FEATURES or column.startswith((_SEGMENT, _SCORE_OF))):
                continue
            if name in seen or name in (PREDICTION, SCORE):
                raise ConfigurationError(self.path, f"column {column!r}: {name!r} is the name of another column")
            seen.add(name)
            yield self._feature(name, column)

    def _feature(self, name: str, column: str) -> ReferenceColumn:
        self._require_scalar(column)
        given = self.spec.features.get(name)
        found: ColumnKind = "numeric" if is_number(self.table.column(column).type) else "categorical"
        kind = found if given is None or given.kind is None else given.kind
        if kind == "categorical":
            typed = self._categorical(name, column, f"{FEATURE_PREFIX}{name}", "feature")
        else:
            low, high = (None, None) if given is None else (given.min, given.max)
            typed = self._numeric(name, column, f"{FEATURE_PREFIX}{name}", "feature", low, high)
        return typed if given is None or given.gate is None else replace(typed, gate=given.gate)

    def _outputs(self) -> Iterator[ReferenceColumn]:
        if self.has(PREDICTION):
            if self.spec.task == "regression":
                yield self._numeric(PREDICTION, PREDICTION, PREDICTION, "prediction")
            else:
                yield self._categorical(PREDICTION, PREDICTION, PREDICTION, "prediction")
        if self.spec.task == "binary":
            given = [name for name in (f"{_SCORE_OF}{self.spec.positive}", SCORE) if self.has(name)]
            if given:
                yield self._numeric(SCORE, given[0], SCORE, "score")
        elif self.spec.task == "multiclass":
            for name in self.classes:
                if self.has(f"{_SCORE_OF}{name}"):
                    column = f"{_SCORE_OF}{name}"
                    yield self._numeric(column, column, f"{SCORE_PREFIX}{name}", "score")

    def _numeric(
        self, name: str, column: str, source: str, role: Role, low: float | None = None, high: float | None = None
    ) -> ReferenceColumn:
        values = self.numbers(column)
        # NaN compares as false: what is missing stays missing.
        outside = (values < (-np.inf if low is None else low)) | (values > (np.inf if high is None else high))
        values[outside] = np.nan
        return ReferenceColumn(
            name, source, role, "numeric", values, np.zeros(0, np.int32), [], low, high, int(outside.sum())
        )

    def _categorical(self, name: str, column: str, source: str, role: Role) -> ReferenceColumn:
        codes, texts = self.texts(column)
        return ReferenceColumn(name, source, role, "categorical", np.zeros(0), codes, texts)

    def _classes(self, known: Sequence[str]) -> list[str]:
        if self.spec.task in ("regression", "ranking"):
            return []
        if known:
            return sorted(known)
        found = {text for name in (PREDICTION, LABEL) if self.has(name) for text in self.texts(name)[1]}
        if self.spec.task == "multiclass":
            found |= {c.removeprefix(_SCORE_OF) for c in self.table.column_names if c.startswith(_SCORE_OF)}
            return sorted(found)
        if found and self.spec.positive not in found:
            raise ConfigurationError(
                f"models.{self.model}.positive_class",
                f"{self.spec.positive!r} is no class of the reference ({', '.join(sorted(found)[:5])})",
            )
        if len(found) > 2:
            raise ConfigurationError(f"models.{self.model}.task", f"binary, but the reference has {len(found)} classes")
        return sorted(found)

    def label_ages(self, labelled: BoolArray) -> IntArray | None:
        """Return the milliseconds from prediction to label of the rows with a label; None where no column tells."""
        if self.ts is None or not self.has(LABEL_TS):
            return None
        ages: IntArray = np.maximum(self._times(LABEL_TS, labelled) - self.ts[labelled], 0)
        return ages

    def _times(self, name: str, rows: BoolArray | None = None) -> IntArray:
        column = self.table.column(name) if rows is None else self.table.column(name).filter(pa.array(rows))
        if column.null_count:
            which = "rows" if rows is None else "rows with a label but"
            raise ConfigurationError(self.path, f"column {name!r} has {column.null_count} {which} without a time")
        if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
            zone = getattr(column.type, "tz", None)
            cast = column.cast(pa.timestamp("ms", tz=zone), safe=False).cast(pa.int64())
            return np.asarray(cast.to_numpy(), dtype=np.int64)
        if not pa.types.is_string(column.type) and not pa.types.is_large_string(column.type):
            raise ConfigurationError(self.path, f"column {name!r} holds {column.type}, not times")
        try:
            return np.array([parse_ts(text) for text in column.to_pylist()], dtype=np.int64)
        except Malformed as exc:
            raise ConfigurationError(self.path, f"column {name!r}: {exc.detail}") from exc

    def _require_scalar(self, name: str) -> None:
        kind = self.table.column(name).type
        inner = kind.value_type if pa.types.is_dictionary(kind) else kind
        if pa.types.is_temporal(inner):
            raise ConfigurationError(
                self.path,
                f"column {name!r} holds dates or times, which cannot be watched; leave it out or give numbers",
            )
        if pa.types.is_nested(inner) or pa.types.is_binary(inner):
            raise ConfigurationError(
                self.path, f"column {name!r} holds {inner}; numbers, texts and booleans can be watched"
            )
