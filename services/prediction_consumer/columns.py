"""Rows of predictions as the columns of a block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from services.prediction_consumer.layout import Layout
from services.prediction_consumer.service import service_columns
from shared.events.block import (
    DIGEST,
    FEATURE_PREFIX,
    FLAG_OUT_OF_RANGE,
    FLAGS_PREFIX,
    ITEMS,
    MAX_BYTES,
    MAX_ROWS,
    PREDICTION,
    SEGMENT_PREFIX,
)
from shared.ingest.codec import Count
from shared.ingest.columns import (
    FIXED_BYTES,
    Bits,
    Columns,
    coordinates,
    digests,
    list_column,
    number_bits,
    text_column,
)
from shared.ingest.rows import Flags, Floats, Rows, joined_flags
from shared.ingest.texts import Texts

_NUMBER_BYTES, _DIGEST_BYTES, _SERVICE_BYTES = 8, 8, 9
_COLUMN_BYTES = 256  # schema and buffer alignment in Arrow's format

FlagColumns = dict[str, npt.NDArray[np.uint8]]


class PredictionColumns:
    """Builds the record batches of one definition."""

    def __init__(self, layout: Layout, count: Count) -> None:
        self._layout = layout
        self._count = count
        row_bytes = FIXED_BYTES + _DIGEST_BYTES + _SERVICE_BYTES + _NUMBER_BYTES * layout.width
        self.max_rows = max(1, min(MAX_ROWS, (MAX_BYTES - _COLUMN_BYTES * layout.width) // row_bytes))

    def batch(self, parts: Sequence[Rows], *, log_time: bool) -> pa.RecordBatch:
        """Return a batch with one row per row, in order.

        The digest covers prediction, scores, features and segments as they stand in the columns, so that a re-sent
        prediction is recognised whatever its spacing, key order or time.
        """
        layout = self._layout
        rows, contents = sum(map(len, parts)), [part.content for part in parts]
        numbers = np.concatenate([content.numbers for content in contents], axis=1)
        texts = [*zip(*[content.texts for content in contents], strict=True)]
        flags = self._flags(joined_flags(parts), rows)
        columns = coordinates(parts, log_time=log_time)
        content: Columns = {}
        bits: dict[str, Bits] = {}

        def number(name: str, column: Floats) -> None:
            content[name] = pa.array(column)
            bits[name] = number_bits(column)

        def text(name: str, column: Sequence[Texts]) -> None:
            content[name], bits[name] = text_column(column)

        if layout.is_regression:
            number(PREDICTION, numbers[0])
        else:
            text(PREDICTION, texts[-1])
        if layout.is_ranking:
            content[ITEMS], bits[ITEMS] = list_column(parts)
        for position, name in enumerate(layout.scores.columns, 1):
            number(name, np.clip(numbers[position - layout.first_number], 0.0, 1.0))
        for name in layout.features:
            position = layout.positions[name]
            if position < layout.first_text:
                number(f"{FEATURE_PREFIX}{name}", self._bounded(name, numbers[position - layout.first_number], flags))
            else:
                text(f"{FEATURE_PREFIX}{name}", texts[position - layout.first_text])
        for position, name in enumerate(layout.dimensions, layout.first_dimension):
            text(f"{SEGMENT_PREFIX}{name}", texts[position - layout.first_text])
        columns[DIGEST] = digests(list(bits.values()), rows)
        columns |= content
        columns |= service_columns(parts)
        columns |= {f"{FLAGS_PREFIX}{name}": pa.array(flags[name]) for name in sorted(flags)}
        return pa.RecordBatch.from_pydict(columns)

    def _flags(self, found: Mapping[int, Flags], rows: int) -> FlagColumns:
        """Return the flags that the slow path set, by the name of the feature or score."""
        layout = self._layout
        names = ("", *layout.scores.columns, *layout.inputs)
        flags: FlagColumns = {}
        for row, of_row in found.items():
            for position, bits in of_row.items():
                if names[position] not in flags:
                    flags[names[position]] = np.zeros(rows, dtype=np.uint8)
                flags[names[position]][row] |= bits
        return flags

    def _bounded(self, name: str, column: Floats, flags: FlagColumns) -> Floats:
        """Return the column without values outside the configured range, which are flagged and counted."""
        low, high = self._layout.bounds.get(name, (None, None))
        outside = np.zeros(len(column), dtype=np.bool_)
        if low is not None:
            outside |= column < low
        if high is not None:
            outside |= column > high
        if not outside.any():
            return column
        self._count("out_of_range", int(outside.sum()))
        flagged = flags.setdefault(name, np.zeros(len(column), dtype=np.uint8))
        flagged[outside] |= FLAG_OUT_OF_RANGE
        return np.where(outside, np.nan, column)
