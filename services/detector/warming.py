"""A model version that has no baseline yet: its rows are counted, and nothing is said to be well.

Nobody compares anything: the rows are in the log, from which the baseline is built once they are enough. The definition
that brings it ends this watch at one place of the log, as any change of a baseline does.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from services.detector.figures import Figures, NewFigures, SeasonFigures
from services.detector.losses import ERRORS
from services.detector.report import CohortRow
from services.detector.stream_time import WIDTH, StreamTime
from services.detector.structs import IntArray, decode_struct, encode_struct
from shared.definition import Definition
from shared.errors import Corrupt
from shared.events.alert import Unwatched
from shared.events.block import PREDICTION, SCORE_PREFIX, TS, Block, BlockKind
from shared.log import Outgoing

WARMING_UP = "warming up"


class WarmUpTime(msgspec.Struct):
    """A model's rows and its stream time since the first of them."""

    stream: StreamTime = msgspec.field(default_factory=StreamTime)
    rows: int = 0
    begun: int | None = None  # stream time when its window was full, which one absurd timestamp cannot move

    def advance(self, ts: IntArray) -> IntArray:
        """Take the rows' timestamps and return stream time after each row."""
        times = self.stream.advance(ts)
        if self.begun is None and self.rows + len(times) >= WIDTH:
            self.begun = int(times[WIDTH - 1 - self.rows])
        self.rows += len(times)
        return times

    @property
    def passed(self) -> int:
        """Return how much stream time has passed, in ms."""
        return 0 if self.begun is None or self.stream.now is None else self.stream.now - self.begun


class _Kept(msgspec.Struct):
    """A warming watch on the wire."""

    time: WarmUpTime
    labels: int


class WarmingWatch:
    """What is kept of a model version that warms up; a fold of its blocks, like `Watch`."""

    def __init__(self, definition: Definition, model_version: str, configuration_version: int) -> None:
        self.model_version = model_version
        self.faulted: dict[str, str] = {}
        self.armed_all_traffic = self.armed_segments = 0.0
        self._kept = _Kept(WarmUpTime(), 0)
        self.adopt(definition, configuration_version)

    def adopt(self, definition: Definition, configuration_version: int) -> None:
        """Go on under another definition without a baseline."""
        self.definition, self.configuration_hash = definition, definition.hash
        self.configuration_version = configuration_version

    def same_watch(self, definition: Definition) -> bool:
        """Tell whether another definition, too, has no baseline."""
        return not definition.baseline_hash

    def end(self, _log_time: int, _successor: Definition) -> list[Outgoing]:
        """Return nothing: no incident was told of."""
        return []

    @property
    def rows_served(self) -> int:
        """Return the served rows so far."""
        return self._kept.time.rows

    @property
    def rows_labelled(self) -> int:
        """Return the labelled rows so far; corrections do not count again."""
        return self._kept.labels

    @property
    def stream_time(self) -> int | None:
        """Return the model's stream time."""
        return self._kept.time.stream.now

    @property
    def not_armed(self) -> dict[str, str]:
        """Return every declared column, with how far the warm-up is."""
        schema = self.definition.schema
        scores = [name.replace(SCORE_PREFIX, "score_", 1) for name in schema.scores]
        return dict.fromkeys([*schema.features, PREDICTION, *scores], self._why)

    def not_watched(self) -> dict[Unwatched, dict[str, str]]:
        """Return everything, by kind."""
        return {Unwatched.COLUMN: self.not_armed, Unwatched.PERFORMANCE: {ERRORS: self._why}}

    @property
    def _why(self) -> str:
        spec = self.definition.spec
        is_late = self._kept.time.passed >= (spec.warm_up_ms or 0)
        return f"{WARMING_UP}: {spec.warm_up} have passed, and no baseline is published yet" if is_late else WARMING_UP

    def open_incidents(self) -> list[str]:
        """Return nothing: there are none."""
        return []

    def figures(self) -> Figures:
        """Return what is shown of the watch; changes nothing."""
        return Figures(
            rows_served=self.rows_served,
            rows_labelled=self.rows_labelled,
            rows_other=0,
            cells=0,
            new_cells=NewFigures(taken=0, limit=0, admitted=0, evicted=0, refused=0),
            seasons=SeasonFigures(gathered=0, without_room=0, profiles=0, profiles_limit=0),
            columns_not_armed=len(self.not_armed),
            armed_all_traffic=0.0,
            armed_segments=0.0,
            faulted=0,
            stream_time_ms=self.stream_time,
            open_incidents=[],
            performance=None,
            estimate=None,
            rings={},
        )

    def fold(self, block: Block, _log_time: int, _last: Mapping[int, int]) -> list[Outgoing]:
        """Take one block.

        Raises:
            Corrupt: the block has no rows.
        """
        if block.batch is None:
            raise Corrupt(f"a {block.kind} block of {block.model} has no rows")
        if block.kind is BlockKind.SERVED:
            self._kept.time.advance(np.asarray(block.batch.column(TS).to_numpy(zero_copy_only=False), np.int64))
        elif block.kind is BlockKind.LABELLED:
            self._kept.labels += block.batch.num_rows
        return []

    def cohort_cells(self, block: Block) -> list[list[tuple[str, int]]]:
        """Return no cell for any row."""
        return [[] for _ in range(block.rows)]

    def cohort_rows(self, _log_time: int) -> list[CohortRow]:
        """Return nothing: without a baseline there are no cohorts."""
        return []

    def snapshot(self) -> bytes:
        """Return the state; equal histories give equal bytes."""
        return encode_struct(self._kept)

    def restore(self, content: bytes) -> None:
        """Become the watch that gave `content`.

        Raises:
            msgspec.MsgspecError: the bytes are of another release.
        """
        self._kept = decode_struct(content, _Kept)
