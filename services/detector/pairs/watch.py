"""Pairs of one model version: served and labelled rows in, closed windows and detections out.

Windows of 1,000 rows of all traffic, of served rows for pairs of what is served, of labelled rows for those with the
label or the error. Their tests share the budget of windows with those of single columns.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import pyarrow as pa

from services.detector import budget
from services.detector.banks.pairs import ClosedCorrelations, CorrelationBank
from services.detector.banks.windows import WindowBank
from services.detector.baseline import Baseline
from services.detector.figures import Ring
from services.detector.outlook.windows import windows_per_week
from services.detector.pairs.closed import ClosedPairs, PairWindow, Reading
from services.detector.pairs.judging import JointJudge, Said, judge_correlations
from services.detector.pairs.memory import ServedValues
from services.detector.pairs.numbers import TRUTHS, LabelledNumbers, ServedNumbers
from services.detector.pairs.reference import WINDOW_ROWS, PairReferences, ReferencePair, columns_of, places_in
from services.detector.pairs.tables import ServedTables
from services.detector.signals.labelled import LabelledSignals
from services.detector.signals.plan import Signals
from services.detector.state import load, save
from services.detector.statistics.joint import JOINT_BINS
from services.detector.window_rows import Span
from services.detector.window_watch import Found
from shared.durations import UNITS_MS
from shared.events.block import SERVED_ROW, SERVED_SEQ, Chain
from shared.monitors import ModelSpec

_SERVED_AT = (SERVED_SEQ, SERVED_ROW)
_NONE = PairReferences(correlations=[], joint=[], labels=0, scales={})


class PairState(msgspec.Struct):
    """What is kept of pairs."""

    served: bytes
    tables: bytes
    labelled: bytes
    memory: ServedValues | None  # None where no pair needs labels
    weak: list[str]  # tests whose last window passed the weaker threshold
    opened: int  # served row with which the open window of served rows begins
    label_opened: int  # served row of the first label of the open window of labelled rows; -1 before it


class PairWatch:
    """All pairs of a baseline; without any it does nothing."""

    def __init__(self, baseline: Baseline, spec: ModelSpec) -> None:
        references = baseline.pairs or _NONE
        self._is_on = baseline.pairs is not None
        share = budget.shares(spec.alerts.false_pages_per_month).windows
        self._windows_per_week = windows_per_week(baseline)
        self._levels = budget.window_levels(share, self._windows_per_week)
        self.why_not = references.why_not()
        self._served_pairs, self._label_pairs = references.of_served(), references.of_labels()
        names = columns_of(self._served_pairs)
        self._numbers = ServedNumbers(baseline, names)
        self._served = CorrelationBank(WINDOW_ROWS, places_in(self._served_pairs, names))
        self._joint, self._judge = ServedTables(baseline, references.joint), JointJudge(references.joint)
        self._joint_names = [table.name for table in references.joint]
        one, tables = np.ones(1, np.int64), np.ones(len(references.joint), np.int64)
        self._tables = WindowBank(one * WINDOW_ROWS, tables * JOINT_BINS, tables * 0)
        features = [name for name in columns_of(self._label_pairs) if name not in TRUTHS]
        self._kept_numbers = ServedNumbers(baseline, features)
        self._labelled_numbers = LabelledNumbers(baseline, features, references.scales)
        self._labelled = CorrelationBank(WINDOW_ROWS, places_in(self._label_pairs, [*features, *TRUTHS]))
        self._memory = ServedValues.of(len(features), _rows_of(spec.horizon_ms, baseline)) if features else None
        self._weak: set[str] = set()
        self._opened, self._label_opened = 0, -1

    def served(self, signals: Signals, chain: Chain, first_row: int) -> list[Found]:
        """Fold served rows, the first of which is the model's row `first_row`; the windows that they closed."""
        if not self._is_on:
            return []
        if self._memory is not None:
            values, _ = self._kept_numbers.of(signals)
            self._memory.append(chain.shard, chain.seq, first_row, values)
        found: list[Found] = []
        codes = self._joint.of(signals)
        tables = self._tables.update(codes, np.zeros((len(codes), 1), np.int32))
        for at, window in enumerate(self._served.update(*self._numbers.of(signals))):
            said = self._judge.judge(tables.counts[at].reshape(-1, JOINT_BINS))
            windows = _windows(self._served_pairs, window, self._joint_names, said)
            closed = ClosedPairs(window.start_row, window.end_row, Span(self._opened, first_row + window.row), windows)
            self._opened = first_row + window.row + 1
            if windows:
                found.append(self._found(closed))
        return found

    def labelled(self, batch: pa.RecordBatch, chain: Chain, labelled: LabelledSignals, rows_served: int) -> list[Found]:
        """Fold labelled rows, after so many served ones; the windows that they closed."""
        if self._memory is None:
            return []
        seqs, rows = (np.asarray(batch.column(name).to_numpy(zero_copy_only=False), np.int64) for name in _SERVED_AT)
        slots = self._memory.find(chain.shard, seqs, rows)
        known = slots >= 0
        first_rows = self._memory.row[slots[known]].tolist()
        table = self._labelled_numbers.of(self._memory.values[slots[known]], labelled, known)
        found: list[Found] = []
        start = 0
        for window in self._labelled.update(*table):
            first = self._label_opened if self._label_opened >= 0 else first_rows[start]
            self._label_opened, start = -1, window.row + 1
            windows = _windows(self._label_pairs, window, [], [])
            closed = ClosedPairs(window.start_row, window.end_row, Span(first, rows_served - 1), windows)
            found.append(self._found(closed))
        if self._label_opened < 0 and start < len(first_rows):
            self._label_opened = first_rows[start]
        return found

    def rings(self) -> dict[str, Ring]:
        """Return how full the memory is."""
        return {} if self._memory is None else {"served_values": self._memory.ring}

    def _found(self, closed: ClosedPairs) -> Found:
        detected: dict[str, Reading] = {}
        for reading in closed.readings:
            test = f"{reading.statistic} {reading.pair}"
            is_weak, was_weak = reading.p_value < self._levels.running, test in self._weak
            (self._weak.add if is_weak else self._weak.discard)(test)
            is_found = reading.p_value < self._levels.single or (is_weak and was_weak)
            if is_found and reading.is_armed and reading.passes_gate:
                before = detected.setdefault(reading.pair, reading)
                detected[reading.pair] = max(before, reading, key=lambda one: one.weight)
        chance = min((reading.p_value for reading in detected.values()), default=math.inf) * self._windows_per_week
        culprits = [closed.culprit(reading) for reading in detected.values()]
        return Found(closed.span.last, culprits, closed.span.first, chance, closed)

    def snapshot(self) -> PairState | None:
        """Return the state; None where there are no pairs."""
        if not self._is_on:
            return None
        return PairState(
            served=save(self._served),
            tables=save(self._tables),
            labelled=save(self._labelled),
            memory=self._memory,
            weak=sorted(self._weak),
            opened=self._opened,
            label_opened=self._label_opened,
        )

    def restore(self, state: PairState | None) -> None:
        """Become what gave the snapshot."""
        if state is None:
            return
        self._served, self._labelled = (load(CorrelationBank, bank) for bank in (state.served, state.labelled))
        self._tables, self._memory = load(WindowBank, state.tables), state.memory
        self._weak, self._opened, self._label_opened = set(state.weak), state.opened, state.label_opened


def _windows(
    pairs: Sequence[ReferencePair], window: ClosedCorrelations, tables: Sequence[str], said: Sequence[Said]
) -> list[PairWindow]:
    """Return every pair of a window once, those with a coefficient first."""
    of_pair: dict[str, list[Said]] = {}
    for pair, pearson, spearman in zip(pairs, window.pearson, window.spearman, strict=True):
        of_pair.setdefault(pair.name, []).append(judge_correlations(pair, pearson, spearman))
    for name, table in zip(tables, said, strict=True):
        of_pair.setdefault(name, []).append(table)
    return [
        PairWindow(
            name,
            [reading for one in each for reading in one.readings],
            max(one.known for one in each),
            {key: value for one in each for key, value in one.fields.items()},
        )
        for name, each in of_pair.items()
    ]


def _rows_of(horizon_ms: int, baseline: Baseline) -> float:
    """Return the served rows of a label horizon at the declared pace."""
    return (baseline.rows_per_week or float(baseline.rows)) * horizon_ms / UNITS_MS["w"]
