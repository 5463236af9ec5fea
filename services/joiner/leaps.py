"""Leaps of log time: a broker whose clock is far ahead would let every entry expire at once, and no label would join.

Log time is a running maximum, so that nothing takes back what one record from the future has done to the fold. Such a
record is therefore not folded before someone has confirmed its time. No ordinary gap is a leap: while consumers run,
ticks let log time pass where nothing is produced, and everything may stand still for a week.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.joiner.meta import Meta
from shared.durations import UNITS_MS, format_duration
from shared.errors import LogTime
from shared.events.block import Block
from shared.log import Record
from shared.values import format_ts

LEAST_MS = UNITS_MS["w"]


def refuse_leaps(meta: Meta, batch: Iterable[tuple[Record, Block]], confirmed_ms: int) -> None:
    """Refuse a batch in which log time leaps, by more than a week and more than half the longest label horizon.

    meta: of the records before the batch. Log times up to `confirmed_ms` may be leapt to.

    Raises:
        LogTime: it does; the message says what to do.
    """
    log_time, period, is_first = meta.log_time, meta.period, meta.last_offset < 0
    for record, block in batch:
        period = max(period, block.stamp.horizon_ms)
        ahead = record.timestamp_ms - log_time
        if not is_first and ahead > max(period // 2, LEAST_MS) and record.timestamp_ms > confirmed_ms:
            after = format_ts(record.timestamp_ms)
            raise LogTime(
                f"{record.topic}-{record.partition}@{record.offset}: log time leaps by {format_duration(ahead)}, from "
                f"{format_ts(log_time)} to {after}, and labels that are awaited would be given up. Correct the "
                f"brokers' clocks; if the time is right, or to go on all the same, set "
                f"DRIFTLINE_CONFIRMED_LOG_TIME={after} and start the joiner again (docs/operate.md)"
            )
        log_time, is_first = max(log_time, record.timestamp_ms), False
