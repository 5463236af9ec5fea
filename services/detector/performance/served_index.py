"""From a label back to the row of its prediction: which model row each served block began at, thinned when long."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping

import msgspec

KEPT = 4_096  # blocks per shard; the older half is thinned beyond
NEAR = 1 / 1_024  # how far from each other old blocks stay known, as a share of all rows


class ServedIndex(msgspec.Struct):
    """Per shard, the sequence numbers of served blocks and the model row of their first row."""

    seqs: dict[int, list[int]] = {}
    rows: dict[int, list[int]] = {}

    @property
    def largest(self) -> int:
        """Return how many blocks are known of the shard of which most are."""
        return max(map(len, self.seqs.values()), default=0)

    def append(self, shard: int, seq: int, first_row: int) -> None:
        """Note that block `seq` of `shard` begins at `first_row`."""
        seqs, rows = self.seqs.setdefault(shard, []), self.rows.setdefault(shard, [])
        seqs.append(seq)
        rows.append(first_row)
        if len(seqs) > KEPT:
            kept = _spaced(rows[: KEPT // 2], first_row * NEAR)
            seqs[: KEPT // 2], rows[: KEPT // 2] = [seqs[i] for i in kept], [rows[i] for i in kept]

    def first_row(self, keys: Mapping[int, tuple[int, int]]) -> int:
        """Return the model's row at which a cohort began, from a served row of each shard that is its first, or later.

        keys: by shard, the sequence number of a block and a row of it. Of the shards that did not bring the first row
        they name blocks that are still to come, or came later.
        """
        known = [
            self.row(shard, seq, row)
            for shard, (seq, row) in keys.items()
            if (seqs := self.seqs.get(shard)) and seqs[bisect_right(seqs, seq) - 1] == seq
        ]
        return min(known) if known else max((self.row(shard, *key) for shard, key in keys.items()), default=0)

    def row(self, shard: int, seq: int, row: int) -> int:
        """Return the model's row of a served row: exact while its block is kept, else at most 2 `NEAR` before it."""
        seqs = self.seqs.get(shard)
        if not seqs:
            return 0
        at = max(bisect_right(seqs, seq) - 1, 0)
        found = self.rows[shard][at] + (row if seqs[at] == seq else 0)
        after = self.rows[shard][at + 1] - 1 if at + 1 < len(seqs) else found
        return min(found, max(after, self.rows[shard][at]))


def _spaced(rows: list[int], distance: float) -> list[int]:
    """Return the places of rows that are `distance` from the one before, the first included."""
    kept = [0]
    for place in range(1, len(rows)):
        if rows[place] - rows[kept[-1]] >= distance:
            kept.append(place)
    return kept
