"""A dead-letter topic is for exceptions: past a limit an input log is halted instead of emptied into it."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from shared.events.halt import Halt
from shared.log import Record, TopicPartition
from shared.measures import LOG_LABELS, Measure, bounded, number, of_logs


@dataclass(frozen=True, slots=True)
class DeadLetterLimit:
    """Too many: `run` refused in a row, or more than `ratio` among the last `window` records, once there are so many.

    A ratio of 1 is never passed, and then neither is the run.
    """

    ratio: float = 0.5
    run: int = 200
    window: int = 1_000


class RefusalWindow:
    """The last records of one log."""

    __slots__ = ("_limit", "_refused", "_seen", "in_a_row")

    def __init__(self, limit: DeadLetterLimit) -> None:
        self._limit = limit
        self._seen = 0
        self._refused: deque[int] = deque()  # which of the records seen, counted from 1
        self.in_a_row = 0

    @property
    def refused(self) -> int:
        """Return how many of the last records were refused."""
        return len(self._refused)

    def accept(self, records: int) -> None:
        """Take in so many records that were good."""
        self._seen += records
        self.in_a_row = 0

    def refuse(self) -> str | None:
        """Take in a record that was refused; return what is too much, if it is."""
        limit = self._limit
        self._seen += 1
        self.in_a_row += 1
        self._refused.append(self._seen)
        while self._refused[0] <= self._seen - limit.window:
            self._refused.popleft()
        if limit.ratio >= 1:
            return None
        if self.in_a_row >= limit.run:
            return f"{self.in_a_row} dead letters in a row"
        if self._seen >= limit.window and len(self._refused) > limit.ratio * limit.window:
            return f"{len(self._refused)} dead letters among the last {limit.window} records"
        return None


class Halts:
    """The windows of all logs that are ours, and which of them are halted.

    resumed: log to the offset below which its dead letters are accepted, as operators say it.
    """

    def __init__(self, limit: DeadLetterLimit, resumed: Mapping[TopicPartition, int]) -> None:
        self._limit = limit
        self._resumed = resumed
        self._windows: dict[TopicPartition, RefusalWindow] = {}
        self._total = 0
        self.current: dict[TopicPartition, Halt] = {}

    def accept(self, source: TopicPartition, records: int) -> None:
        """Take in so many good records of a log."""
        self._window(source).accept(records)

    def refuse(self, record: Record, reason: str) -> Halt | None:
        """Take in a record that was refused; return the halt of its log if that is one too many."""
        if record.offset < self._resumed.get(record.source, 0):
            return None
        too_much = self._window(record.source).refuse()
        if too_much is None:
            return None
        halt = Halt(record.topic, record.partition, record.offset + 1, f"{too_much}, the last one for {reason}")
        self.current[record.source] = halt
        self._total += 1
        return halt

    def release(self) -> list[Halt]:
        """Return the halts that operators have ended since; their logs begin anew."""
        over = [halt for halt in self.current.values() if self._resumed.get(halt.source, -1) >= halt.offset]
        self.forget([halt.source for halt in over])
        return over

    def forget(self, sources: Collection[TopicPartition]) -> None:
        """Drop what is known of logs."""
        for source in sources:
            self._windows.pop(source, None)
            self.current.pop(source, None)

    def measures(self) -> Iterator[Measure]:
        """Yield how near each log is to its limits, and which are past them."""
        windows = {(source.topic, str(source.partition)): window for source, window in self._windows.items()}
        yield of_logs(
            "ingest_halted",
            "1 while a log is not read because of its dead letters.",
            {source: source in self.current for source in self._windows},
        )
        yield number("ingest_halts_total", "How often a log was halted.", self._total)
        yield from bounded(
            "ingest_recently_refused",
            f"Dead letters among the last {self._limit.window:,} records of a log; past the limit it is halted.",
            {log: window.refused for log, window in windows.items()},
            self._limit.ratio * self._limit.window,
            LOG_LABELS,
        )
        yield from bounded(
            "ingest_refused_in_a_row",
            "Dead letters since the last good record of a log; at the limit it is halted.",
            {log: window.in_a_row for log, window in windows.items()},
            self._limit.run,
            LOG_LABELS,
        )

    def _window(self, source: TopicPartition) -> RefusalWindow:
        if source not in self._windows:
            self._windows[source] = RefusalWindow(self._limit)
        return self._windows[source]
