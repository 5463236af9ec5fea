"""Cells that the log brings: combinations of segment values that the reference does not hold, in the order they come.

Each gets a slot while the segmentation has one; beyond that its rows stay in their cell of `__other__` and are counted.
A slot is free again when its combination has had no row for the label horizon and a week of log time: by then no label
can come for any of its rows. Nothing but the log decides, so every replay gives the same slots.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import msgspec
import numpy as np
import pyarrow as pa

from services.detector.baseline import Baseline, Segmentation, cell_label
from services.detector.segments import CellIndex, Combination, Memberships, distinct
from services.detector.structs import IntArray
from shared.durations import UNITS_MS
from shared.monitors import ModelSpec

MAX_SLOTS = 2_000  # of a model version, shared evenly by its segmentations
NONE, REFUSED = -1, -2  # instead of a slot
NO_ROWS = np.zeros(0, np.int64)
NEVER_MS = 1 << 62
GRACE_MS = UNITS_MS["w"]  # beyond the label horizon: shards do not keep the same time to the millisecond


class Slot(msgspec.Struct):
    """A combination that has a cell."""

    segmentation: int
    values: list[str]
    seen_ms: int  # log time of its newest row


class SlotState(msgspec.Struct):
    """Everything that decides about the future, and what was counted."""

    slots: list[Slot | None] = []
    admitted: int = 0
    evicted: int = 0
    refused: int = 0  # rows, once for each segmentation in which their combination found no free slot


@dataclass(frozen=True, slots=True)
class Placed:
    """The cells of a block's rows."""

    cells: Memberships  # [rows, 1 + segmentations] of the baseline; -1 where the row has a slot instead
    slots: Memberships  # [rows, segmentations]; -1 where it has none
    begun: list[tuple[int, int]]  # slots that this block takes, with the row that does


class Admission:
    """The slots of one model version.

    Args:
        segmentations: the baseline's.
        cap: slots of each.
        horizon_ms: how long a prediction waits for its label.
    """

    def __init__(self, segmentations: Sequence[Segmentation], cap: int, horizon_ms: int) -> None:
        self._segmentations = segmentations
        self._index = CellIndex(segmentations)
        self._cap = min(cap, MAX_SLOTS // max(len(segmentations), 1))
        self._idle_ms = horizon_ms + GRACE_MS
        self.restore(SlotState())

    @classmethod
    def of(cls, baseline: Baseline, spec: ModelSpec) -> Self:
        """Return the empty slots that a model's configuration gives it."""
        return cls(baseline.segmentations, spec.new_segments, spec.horizon_ms)

    @property
    def limit(self) -> int:
        """Return the most slots that can be taken."""
        return self._cap * sum(segmentation.is_open for segmentation in self._segmentations)

    @property
    def taken(self) -> int:
        """Return how many slots are."""
        return len(self._slots)

    def label(self, slot: int) -> str:
        """Return the name of a slot's cell; empty where it is free."""
        found = self.state.slots[slot]
        return "" if found is None else cell_label(self._segmentations[found.segmentation].dimensions, found.values)

    def evict(self, log_time: int) -> list[int]:
        """Free the slots whose combinations have not come for long; return them."""
        before = log_time - self._idle_ms
        if before <= self._oldest_ms:
            return []
        idle = [at for at, slot in enumerate(self.state.slots) if slot is not None and slot.seen_ms < before]
        for at in idle:
            self.state.slots[at] = None
        self.state.evicted += len(idle)
        self.restore(self.state)
        return idle

    def admit(self, batch: pa.RecordBatch, cells: Memberships, log_time: int) -> Placed:
        """Place the rows of a served block, whose `cells` of the baseline are given."""
        groups = list(self._groups(batch, cells))
        begun: list[tuple[int, int]] = []
        # By row and then segmentation, so that slots do not depend on where a block ends.
        for row, place, number in sorted(
            (row, at, number) for at, group in enumerate(groups) for number, row in enumerate(group.first_rows)
        ):
            group = groups[place]
            slot = self._find(group.segmentation, group.named[number])
            if slot == NONE and self._segmentations[group.segmentation].is_new(group.named[number]):
                slot = self._begin(group.segmentation, group.named[number], log_time)
                begun += [(slot, row)] if slot >= 0 else []
            group.slots[number] = slot
        placed = self._placed(groups, cells)
        for slot in np.unique(placed.slots[placed.slots >= 0]).tolist():
            self._taken(slot).seen_ms = log_time
        self.state.refused += sum(int(np.count_nonzero(group.of_rows == REFUSED)) for group in groups)
        return replace(placed, begun=begun)

    def placed(self, batch: pa.RecordBatch, cells: Memberships) -> Placed:
        """Return where the rows of a block are by the slots of now; none is taken."""
        groups = list(self._groups(batch, cells))
        for group in groups:
            group.slots[:] = [self._find(group.segmentation, combination) for combination in group.named]
        return self._placed(groups, cells)

    def restore(self, state: SlotState) -> None:
        """Become what has this state."""
        self.state = state
        taken = [(at, slot) for at, slot in enumerate(state.slots) if slot is not None]
        self._slots = {(slot.segmentation, tuple(slot.values)): at for at, slot in taken}
        self._counts = Counter(slot.segmentation for _, slot in taken)
        self._oldest_ms = min((slot.seen_ms for _, slot in taken), default=NEVER_MS)

    def _groups(self, batch: pa.RecordBatch, cells: Memberships) -> Iterator[_Group]:
        """Yield what is to be looked up: of each segmentation the rows in cells that hold several combinations."""
        for place, segmentation in enumerate(self._segmentations):
            rows = np.flatnonzero(self._index.pooled(place, cells)) if self._cap and segmentation.is_open else NO_ROWS
            if rows.size:
                numbers, first, named = distinct(self._index.combinations(place, batch, rows))
                yield _Group(place, rows, numbers, rows[first].tolist(), named, np.full(len(named), NONE, np.int32))

    @staticmethod
    def _placed(groups: Sequence[_Group], cells: Memberships) -> Placed:
        left, slots = cells.copy(), np.full((len(cells), cells.shape[1] - 1), NONE, np.int32)
        for group in groups:
            found = np.maximum(group.of_rows, NONE)
            slots[group.rows, group.segmentation] = found
            left[group.rows[found >= 0], group.segmentation + 1] = NONE
        return Placed(left, slots, [])

    def _find(self, segmentation: int, combination: Combination) -> int:
        return self._slots.get((segmentation, combination), NONE)

    def _begin(self, segmentation: int, combination: Combination, log_time: int) -> int:
        """Return the first free slot, which the combination takes; REFUSED where its segmentation has no more."""
        if self._counts[segmentation] >= self._cap:
            return REFUSED
        slots = self.state.slots
        slot = slots.index(None) if None in slots else len(slots)
        slots[slot : slot + 1] = [Slot(segmentation, list(combination), log_time)]
        self._slots[segmentation, combination] = slot
        self._counts[segmentation] += 1
        self._oldest_ms = min(self._oldest_ms, log_time)
        self.state.admitted += 1
        return slot

    def _taken(self, slot: int) -> Slot:
        found = self.state.slots[slot]
        if found is None:
            raise LookupError(f"slot {slot} is free")
        return found


@dataclass(frozen=True, slots=True)
class _Group:
    """Rows of a block in cells of a segmentation that hold several combinations."""

    segmentation: int
    rows: IntArray
    numbers: IntArray  # of each row's combination
    first_rows: list[int]  # of each combination
    named: list[Combination]
    slots: Memberships  # of each combination, once it is looked up

    @property
    def of_rows(self) -> Memberships:
        """Return the slot of each row."""
        found: Memberships = self.slots[self.numbers]
        return found
