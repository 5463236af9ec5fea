"""From a label back to the row of its prediction: which model row each served block began at, thinned when long."""

from __future__ import annotations

from bisect import bisect_right

import msgspec

KEPT = 4_096  # blocks per shard; half are dropped, evenly, beyond


class ServedIndex(msgspec.Struct):
    """Per shard, the sequence numbers of served blocks and the model row of their first row."""

    seqs: dict[int, list[int]] = {}
    rows: dict[int, list[int]] = {}

    def append(self, shard: int, seq: int, first_row: int) -> None:
        """Note that block `seq` of `shard` begins at `first_row`."""
        seqs, rows = self.seqs.setdefault(shard, []), self.rows.setdefault(shard, [])
        seqs.append(seq)
        rows.append(first_row)
        if len(seqs) > KEPT:
            # Old onsets are asked for rarely; every second entry still places them within a block or two.
            half = KEPT // 2
            seqs[:half], rows[:half] = seqs[:half:2], rows[:half:2]

    def row(self, shard: int, seq: int, row: int) -> int:
        """Return the model's row of a served row; exact while its block is kept, near it afterwards."""
        seqs = self.seqs.get(shard)
        if not seqs:
            return 0
        at = max(bisect_right(seqs, seq) - 1, 0)
        found = self.rows[shard][at] + (row if seqs[at] == seq else 0)
        after = self.rows[shard][at + 1] - 1 if at + 1 < len(seqs) else found
        return min(found, max(after, self.rows[shard][at]))
