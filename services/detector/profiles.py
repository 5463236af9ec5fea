"""Closed windows and final cohorts as rows for who reads them afterwards: `driftline.profiles`, and a sink."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from services.detector.outputs import Outputs
from services.detector.report import CohortRow, EstimateRow, FairnessRow, Sink
from services.detector.serving.period import ServingRow
from services.detector.window_rows import WindowRows
from services.detector.window_watch import ClosedWindow
from shared.log import Outgoing


@dataclass(frozen=True, slots=True)
class Profiles:
    """Writes the rows of one model version."""

    outputs: Outputs
    sink: Sink
    rows: WindowRows
    is_written: bool  # to the topic
    is_reported: bool  # in windows of a size of their own, so that the sink takes only what these do not hold

    def windows(self, closed: ClosedWindow, log_time: int) -> list[Outgoing]:
        """Return the records of one closed window; the sink takes its rows."""
        is_reported = self.sink.takes_windows and (not self.is_reported or closed.is_of_pairs)
        if not is_reported and not self.is_written:
            return []
        told: list[Outgoing] = []
        for row in closed.rows(self.rows):
            if is_reported:
                self.sink.window(row)
            if self.is_written:
                told.append(self.outputs.profile(row, log_time))
        return told

    def fairness(self, row: FairnessRow, log_time: int) -> list[Outgoing]:
        """Return the record of how a protected dimension stands; the sink takes it."""
        self.sink.fairness(row)
        return [self.outputs.fairness(row, log_time)] if self.is_written else []

    def cohorts(self, rows: Iterable[CohortRow | EstimateRow], log_time: int) -> list[Outgoing]:
        """Return the records of final cohorts, or of estimated ones; `rows` are made only where they are written."""
        return [self.outputs.cohort(row, log_time) for row in rows] if self.is_written else []

    def services(self, rows: Iterable[ServingRow], log_time: int) -> list[Outgoing]:
        """Return the records of what the model's own service did; the sink takes the rows."""
        rows = list(rows)
        for row in rows:
            self.sink.serving(row)
        return [self.outputs.serving(row, log_time) for row in rows] if self.is_written else []
