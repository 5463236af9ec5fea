"""Labels as they really come: a fraud is known after days, its absence after a month, and traffic grows meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from services.detector.structs import FloatArray, IntArray
from shared.events.block import (
    LABEL,
    LABEL_TS,
    MAX_ROWS,
    PREDICTION,
    REPLACED_LABEL,
    SERVED_ROW,
    SERVED_SEQ,
    SRC_OFFSET,
    SRC_PARTITION,
    SRC_TOPIC,
    TS,
)
from tests.truth.streams import DAY_MS, START_MS, levels

PER_DAY, DAYS = 1_000, 150
REFERENCE_DAYS = 60
BUSIER_FROM, BUSIER = 75, 1.5
POSITIVE = 0.05  # share of predictions
KNOWN_AFTER, CLEARED_AFTER = 5.0, 30.0  # days until the label of a positive, in the mean, and of a negative
CLASSES = ("0", "1")


@dataclass(frozen=True)
class Traffic:
    """Predictions in order of time, with the truth and when it is told."""

    ts: IntArray  # ms
    label_ts: IntArray
    positive: IntArray  # 1 or 0, as is `flagged`
    flagged: IntArray

    @classmethod
    def simulated(cls, rng: np.random.Generator, first_day: int, days: int, loss_from: int | None = None) -> Traffic:
        """Return the predictions of some days; from day `loss_from` on the model is worse."""
        each = np.arange(first_day, first_day + days)
        counts = np.where(each < BUSIER_FROM, PER_DAY, round(PER_DAY * BUSIER))
        day = np.repeat(each, counts) + np.concatenate([np.arange(count) / count for count in counts.tolist()])
        positive = (rng.random(len(day)) < POSITIVE).astype(np.int64)
        worse = day >= (np.inf if loss_from is None else loss_from)
        chance = np.where(positive == 1, np.where(worse, 0.4, 0.6), np.where(worse, 0.01, 0.005))
        flagged = (rng.random(len(day)) < chance).astype(np.int64)
        age = np.where(positive == 1, rng.gamma(5.0, KNOWN_AFTER / 5.0, len(day)), CLEARED_AFTER)
        ts, label_ts = (START_MS + np.floor(time * DAY_MS).astype(np.int64) for time in (day, day + age))
        return cls(ts, label_ts, positive, flagged)

    @property
    def count(self) -> int:
        return len(self.ts)

    def reference(self, *, timed: bool) -> pa.Table:
        """Return the predictions as a reference; `timed` ones say when their labels came."""
        times = {TS: self.ts, LABEL_TS: self.label_ts} if timed else {TS: self.ts}
        columns = {name: pa.array(value, pa.timestamp("ms", tz="UTC")) for name, value in times.items()}
        return pa.table(columns | {PREDICTION: self.flagged, LABEL: self.positive, "amount": _amounts(self.count)})

    def served(self, rows: IntArray) -> pa.RecordBatch:
        """Return some of the predictions as a served batch."""
        return pa.RecordBatch.from_pydict(self._columns(rows, "predictions") | {"f:amount": _amounts(self.count)[rows]})

    def labelled(
        self, rows: IntArray, blocks: IntArray, places: IntArray, labels: IntArray, replaced: IntArray | None = None
    ) -> pa.RecordBatch:
        """Return the labels of predictions that stand at `places` of served blocks."""
        columns = self._columns(rows, "ground-truth") | {
            LABEL_TS: pa.array(self.label_ts[rows]),
            LABEL: levels(labels, CLASSES),
            SERVED_SEQ: pa.array(blocks[rows]),
            SERVED_ROW: pa.array(places[rows].astype(np.int32)),
        }
        if replaced is not None:
            columns[REPLACED_LABEL] = levels(replaced, CLASSES)
        return pa.RecordBatch.from_pydict(columns)

    def _columns(self, rows: IntArray, topic: str) -> dict[str, pa.Array]:
        return {
            TS: pa.array(self.ts[rows]),
            SRC_TOPIC: levels(np.zeros(len(rows), np.int64), (topic,)),
            SRC_PARTITION: pa.array(np.zeros(len(rows), np.int32)),
            SRC_OFFSET: pa.array(rows),
            PREDICTION: levels(self.flagged[rows], CLASSES),
        }


def days(traffic: Traffic) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield day by day the rows that are served and those whose labels come, in order of time."""
    served = (traffic.ts - START_MS) // DAY_MS
    told = (traffic.label_ts - START_MS) // DAY_MS
    order = np.argsort(traffic.label_ts, kind="stable")
    for day in range(int(served.min()), int(served.max()) + 1):
        yield np.flatnonzero(served == day), order[told[order] == day]


def cuts(rows: IntArray) -> Iterator[IntArray]:
    """Yield rows in blocks."""
    for start in range(0, len(rows), MAX_ROWS):
        yield rows[start : start + MAX_ROWS]


def _amounts(count: int) -> FloatArray:
    return np.random.default_rng(5).normal(0.0, 1.0, count)
