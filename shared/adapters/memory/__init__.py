"""The log in process: the same ports as Kafka, one thread, no waiting. `driftline backtest` and the tests run on it.

Where it differs from Kafka, on purpose: log time is the record's own `timestamp_ms` where it is given (a backtest says
what time it was), nothing is compacted or expired, and `poll` returns at once, since nothing can arrive meanwhile.
"""

from shared.adapters.memory.broker import MemoryBroker
from shared.adapters.memory.clock import ManualClock
from shared.adapters.memory.exclusive_writer import MemoryExclusiveWriter
from shared.adapters.memory.group import MemoryGroupReader
from shared.adapters.memory.reader import MemoryReader
from shared.adapters.memory.writer import MemoryWriter

__all__ = ["ManualClock", "MemoryBroker", "MemoryExclusiveWriter", "MemoryGroupReader", "MemoryReader", "MemoryWriter"]
