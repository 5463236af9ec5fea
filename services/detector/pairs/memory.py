"""What was served of features, until their labels come: labelled rows do not carry them.

A ring of rows. Where a label horizon of traffic has more rows than it holds, every so many rows is kept, so that the
ring spans the horizon: a row is kept or not before its label is known, and late labels are as likely to find theirs as
early ones.
"""

from __future__ import annotations

import msgspec
import numpy as np

from services.detector.figures import Ring
from services.detector.performance.cell_cohorts import served_key
from services.detector.structs import FloatArray, IntArray

MOST_ROWS, MOST_BYTES = 8_192, 4 << 20
_NONE = -1


class ServedValues(msgspec.Struct):
    """The last kept rows; slot `row // stride` modulo the ring's size."""

    stride: int  # every so many of the model's rows is kept
    shard: np.ndarray  # int32 [slots]; -1 where nothing is kept yet
    key: np.ndarray  # int64 [slots]: served block and row in it
    row: np.ndarray  # int64 [slots]: the model's served row
    values: np.ndarray  # float64 [slots, features]
    kept: int = 0

    @classmethod
    def of(cls, features: int, rows_of_horizon: float) -> ServedValues:
        """Return an empty memory of so many features, for so many rows in a label horizon."""
        slots = max(min(MOST_ROWS, MOST_BYTES // (8 * max(features, 1))), 1)
        return cls(
            stride=max(-(-int(rows_of_horizon) // slots), 1),
            shard=np.full(slots, _NONE, np.int32),
            key=np.zeros(slots, np.int64),
            row=np.zeros(slots, np.int64),
            values=np.zeros((slots, features)),
        )

    def append(self, shard: int, seq: int, first_row: int, values: FloatArray) -> None:
        """Take one served block, [rows, features], the first row of which is the model's `first_row`."""
        kept = np.arange(-first_row % self.stride, len(values), self.stride)[-len(self.shard) :]
        rows = first_row + kept
        slots = rows // self.stride % len(self.shard)
        self.shard[slots], self.row[slots] = shard, rows
        self.key[slots] = served_key(np.full(len(kept), seq, np.int64), kept)
        self.values[slots] = values[kept]
        self.kept = (first_row + len(values) - 1) // self.stride + 1

    def find(self, shard: int, seqs: IntArray, rows: IntArray) -> IntArray:
        """Return the slot of each served row of a shard, -1 where it is not kept."""
        held = np.flatnonzero(self.shard == shard)
        if held.size == 0:
            return np.full(len(seqs), _NONE, np.int64)
        order = held[np.argsort(self.key[held], kind="stable")]
        wanted = served_key(seqs, rows)
        at = np.minimum(np.searchsorted(self.key[order], wanted), order.size - 1)
        return np.where(self.key[order[at]] == wanted, order[at], _NONE)

    @property
    def ring(self) -> Ring:
        """Return how full the ring is."""
        slots = len(self.shard)
        return Ring(min(self.kept, slots), slots, max(self.kept - slots, 0))
