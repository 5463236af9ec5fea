"""Which served row each of the last labels belongs to: how a loss in label order finds its onset in traffic."""

from __future__ import annotations

import msgspec
import numpy as np

from services.detector.structs import IntArray
from shared.events.block import MAX_ROWS

KEPT = 8_192
REACH = KEPT - MAX_ROWS  # what is known at any row of a block, wherever the block ends


class LabelRows(msgspec.Struct):
    """The served rows of the last `KEPT` labels, in order of arrival."""

    labels: int = 0
    rows: np.ndarray = msgspec.field(default_factory=lambda: np.zeros(KEPT, np.int64))

    def append(self, rows: IntArray) -> None:
        """Take the next labels' served rows."""
        self.rows[np.arange(self.labels, self.labels + len(rows)) % KEPT] = rows
        self.labels += len(rows)

    def since(self, labels_back: int, label: int) -> int:
        """Return the earliest served row among `labels_back` labels that end with number `label` (from 0).

        `label` is of the block appended last; more than `REACH` labels back is not looked.
        """
        first = max(label - min(labels_back, REACH) + 1, 0)
        return int(self.rows[np.arange(first, label + 1) % KEPT].min())
