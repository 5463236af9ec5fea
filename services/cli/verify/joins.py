"""Whether each prediction met at most one label, told from the outputs alone, and whether the counters balance."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from services.cli.verify.report import Evidence
from services.joiner.meta import Counters
from shared.events.block import SERVED_ROW, SERVED_SEQ, Block, BlockKind


@dataclass(slots=True)
class _Served:
    """Which predictions of one output have a label."""

    has_label: np.ndarray  # bool [rows]
    until: int  # log time after which no label comes


class Joins:
    """The predictions of one shard that may still meet a label: a byte each, for their horizon."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._rows: Counter[tuple[str, BlockKind]] = Counter()
        self._served: dict[int, _Served] = {}  # by sequence number
        self._order: deque[int] = deque()

    def read(self, block: Block) -> None:
        """Take a block of the halves."""
        self._rows[block.model, block.kind] += block.rows

    def take(self, at: str, block: Block, log_time: int) -> None:
        """Take an output, in order."""
        if block.batch is None or block.chain is None:
            return
        self._rows[block.model, block.kind] += block.rows
        if block.kind is BlockKind.SERVED:
            self._served[block.chain.seq] = _Served(np.zeros(block.rows, np.bool_), log_time + block.stamp.horizon_ms)
            self._order.append(block.chain.seq)
        else:
            self._meet(at, block.batch, is_correction=block.kind is BlockKind.CORRECTED)
        while self._order and self._served[self._order[0]].until < log_time:
            del self._served[self._order.popleft()]

    def balance(self, counters: Mapping[str, Counters]) -> None:
        """Compare every model's counters with the rows that went in and came out."""
        for model, counted in counters.items():
            for what, given, kind in (
                ("predictions", counted.predictions, BlockKind.PREDICTION),
                ("labels", counted.labels, BlockKind.LABEL),
                ("erasures", counted.erasures, BlockKind.ERASURE),
                ("served rows", counted.served, BlockKind.SERVED),
            ):
                self._evidence.count(what, given)
                if given != self._rows[model, kind]:
                    text = f"{given:,} {what} are accounted for, the log has {self._rows[model, kind]:,}"
                    self._evidence.differs(model, text)

    def _meet(self, at: str, batch: pa.RecordBatch, *, is_correction: bool) -> None:
        seqs, rows = batch.column(SERVED_SEQ).to_pylist(), batch.column(SERVED_ROW).to_pylist()
        for seq, row in zip(seqs, rows, strict=True):
            served = self._served.get(seq)
            where = f"row {row} of seq {seq}"
            if served is None or row >= len(served.has_label):
                self._evidence.differs(at, f"joins a prediction that is not there, or has expired: {where}")
            elif is_correction and not served.has_label[row]:
                self._evidence.differs(at, f"corrects a prediction that has no label: {where}")
            elif served.has_label[row] and not is_correction:
                self._evidence.differs(at, f"joins a prediction a second time: {where}")
            else:
                served.has_label[row] = True
                self._evidence.count("corrected" if is_correction else "joined")
