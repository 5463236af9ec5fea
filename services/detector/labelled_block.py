"""A block of labels, with the rows of their predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from services.detector.structs import IntArray
from shared.events.alert import Place
from shared.events.block import LABEL_TS, SRC_OFFSET, SRC_PARTITION, SRC_TOPIC, TS, Chain
from shared.values import format_ts


@dataclass(frozen=True, slots=True)
class LabelledBlock:
    """A block of labels with the rows of their predictions."""

    batch: pa.RecordBatch
    chain: Chain
    served: IntArray  # [rows] of the model

    @property
    def ages_ms(self) -> IntArray:
        """Return each label's age."""
        return integers(self.batch, LABEL_TS) - integers(self.batch, TS)


def label_place(batch: pa.RecordBatch, row: int, served_row: int) -> Place:
    """Return where a loss was detected: the label that told of it, and a prediction's row."""
    return Place(
        row=served_row,
        ts=format_ts(batch.column(LABEL_TS)[row].as_py()),
        topic=batch.column(SRC_TOPIC)[row].as_py(),
        partition=batch.column(SRC_PARTITION)[row].as_py(),
        offset=batch.column(SRC_OFFSET)[row].as_py(),
    )


def integers(batch: pa.RecordBatch, column: str) -> IntArray:
    """Return a column of whole numbers."""
    return np.asarray(batch.column(column).to_numpy(zero_copy_only=False), np.int64)
