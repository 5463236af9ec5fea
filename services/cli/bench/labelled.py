"""Labelled rows of the benchmarks' model, and what a detector does with them: error monitors, and metrics by cohort."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa

from services.cli.bench import loans
from services.detector.baseline import Baseline, window_rows
from services.detector.figures import Told
from services.detector.incidents.incident import Subject
from services.detector.labelled_block import LabelledBlock, integers
from services.detector.loss_alarms import LossAlarms
from services.detector.performance.cell_cohorts import served_key
from services.detector.performance.cohorts import Cohorts, Labelled
from services.detector.performance.score_bins import score_edges
from services.detector.performance.tally import Tally
from services.detector.report import CohortRow
from services.detector.signals.labelled import LabelledSignals
from services.detector.signals.plan import SignalPlan
from services.detector.structs import FloatArray, encode_struct
from shared.events.block import PREDICTION, SERVED_ROW, SERVED_SEQ, Block, BlockKind, Chain

SPEC = msgspec.structs.replace(loans.SPEC, segments=["salary_range", "repaid_before", "sales_channel"])
_SUBJECT = Subject(loans.MODEL, "v1", "", 1, "", "bench")
_FOREVER_MS = 1 << 60


@dataclass(frozen=True, slots=True)
class LabelledLog:
    """Predictions, and the labels of all of them."""

    served: Sequence[tuple[pa.RecordBatch, Chain]]
    labelled: Sequence[LabelledBlock]

    @classmethod
    def of(cls, blocks: Sequence[Block]) -> LabelledLog:
        """Return the observations of one partition, whose labels come in the order of the predictions."""
        told = [(block.kind, block.batch, block.chain) for block in blocks]
        served, labelled = (
            [
                (batch, chain)
                for kind, batch, chain in told
                if kind is wanted and batch is not None and chain is not None
            ]
            for wanted in (BlockKind.SERVED, BlockKind.LABELLED)
        )
        ends = np.cumsum([batch.num_rows for batch, _ in labelled]).tolist()
        rows = [np.arange(end - batch.num_rows, end) for end, (batch, _) in zip(ends, labelled, strict=True)]
        return cls(served, [LabelledBlock(*told, of) for told, of in zip(labelled, rows, strict=True)])

    @property
    def rows(self) -> int:
        """Return the labelled rows."""
        return sum(len(block.served) for block in self.labelled)


class LabelledWork:
    """What is done with the labelled rows of one model version."""

    def __init__(self, baseline: Baseline, log: LabelledLog) -> None:
        self._baseline, self._log = baseline, log
        self._plan = SignalPlan(baseline)
        self._signals = [self._plan.labelled(block.batch) for block in log.labelled]
        self._tally = tally_of(baseline)

    def signals(self) -> list[LabelledSignals]:
        """Find what labels say of predictions, which everything else starts from."""
        return [self._plan.labelled(block.batch) for block in self._log.labelled]

    def monitors(self) -> int:
        """Fold all labels into new monitors of errors; return the changes of incidents."""
        alarms = LossAlarms(self._baseline, SPEC, Told())
        return sum(
            1
            for block, signals in zip(self._log.labelled, self._signals, strict=True)
            for _ in alarms.fold(block, signals, _SUBJECT, _is_covered)
        )

    def cohorts(self) -> Cohorts:
        """Return the cohorts of all predictions, without labels."""
        baseline = self._baseline
        sizes = [window_rows(cell) for cell in range(len(baseline.cells))]
        found = Cohorts(baseline.cells, sizes, self._tally, score_edges(baseline, self._tally.curves))
        for batch, chain in self._log.served:
            times = np.zeros(batch.num_rows, np.int64)
            predicted, last = self._tally.predicted(batch.column(PREDICTION)), {chain.shard: chain.seq}
            found.serve(chain.shard, chain.seq, self._plan.served(batch).cells, times, predicted, last)
        return found

    def count(self, cohorts: Cohorts) -> None:
        """Count all labels in the cohorts of their predictions."""
        for block, rows in zip(self._log.labelled, self._signals, strict=True):
            keys = served_key(integers(block.batch, SERVED_SEQ), integers(block.batch, SERVED_ROW))
            told = self._tally.contributions(rows.labels, rows.predictions, rows.scores)
            cohorts.label(block.chain.shard, Labelled(keys, rows.cells, told))

    def finals(self, cohorts: Cohorts) -> list[CohortRow]:
        """Return every metric of every full cohort, which no label can change any more."""
        for book in cohorts.state.cells:
            book.finish(_FOREVER_MS)
            book.close(self._tally, _FOREVER_MS)
        return cohorts.rows(loans.MODEL, "v1", _FOREVER_MS)


def _is_covered(_row: int, _onset: int) -> bool:
    return True


class OpenCohorts:
    """Cohorts of segments whose labels have all come with scores that are all distinct, and that are still open."""

    def __init__(self, baseline: Baseline, cells: int, of_each: int) -> None:
        self._tally = tally_of(baseline)
        self._edges = score_edges(baseline, self._tally.curves)
        self._cells, self._of_each, self._size = cells, of_each, window_rows(1)

    @property
    def count(self) -> int:
        """Return how many there are."""
        return self._cells * self._of_each

    def build(self) -> Cohorts:
        """Return them."""
        cells = range(self._cells)
        names = [f"segment={cell}" for cell in cells]
        found = Cohorts(names, [self._size] * self._cells, self._tally, self._edges)
        draw = np.random.default_rng(0)
        none = np.zeros(self._size, np.int64)
        for seq, cell in enumerate(cell for _ in range(self._of_each) for cell in cells):
            member = np.full((self._size, 1), cell, np.int32)
            found.serve(0, seq, member, none, none, {0: seq})
            keys = served_key(none + seq, np.arange(self._size))
            found.label(0, Labelled(keys, member, self._tally.contributions(*_drawn(draw, self._size))))
        return found

    def state_bytes(self, cohorts: Cohorts) -> int:
        """Return how many bytes a checkpoint holds of them, uncompressed."""
        return len(encode_struct(cohorts.snapshot()))


def tally_of(baseline: Baseline) -> Tally:
    """Return the layout of the benchmarks' cohorts."""
    return Tally(baseline.task, tuple(baseline.classes), baseline.classes.index(baseline.positive))


def _drawn(draw: np.random.Generator, rows: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return labels, predictions and scores."""
    scores = draw.random(rows)
    labels = (draw.random(rows) < scores).astype(np.float64)
    return labels, (scores > 0.5).astype(np.float64), scores[:, np.newaxis]
