"""Everything that the logs record of people and decisions, in order of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from services.cli.audit.entries import Entry, alert_entries, control_entries, retraining_entries
from services.cli.verify.installation import Meter
from shared.control import sources
from shared.history import history
from shared.log import Reader, Record
from shared.topics import Topics

TOLD_EVERY = 500

_Read = Callable[[Record], Iterator[Entry]]


def audit(
    reader: Reader, topics: Topics, meter: Meter, *, since_ms: int | None, until_ms: int | None, model: str | None
) -> list[Entry]:
    """Return the entries from `since_ms` on and before `until_ms`, by the log's time; each once, however often written.

    Raises:
        Corrupt, Malformed: a record does not read back.
    """
    of_topics: dict[str, _Read] = {
        topics.control: control_entries,
        topics.alerts: alert_entries,
        topics.retraining: retraining_entries,
    }
    found: dict[tuple[str, str, str], Entry] = {}
    for topic, read in of_topics.items():
        for source in sources(reader, topic):
            low, high = reader.bounds(source)
            meter.begin(f"{topic}-{source.partition}", high - low)
            for number, record in enumerate(history(reader, source, low, high), 1):
                if number % TOLD_EVERY == 0:
                    meter.read(TOLD_EVERY)
                if not (since_ms or 0) <= record.timestamp_ms < (until_ms or 1 << 62):
                    continue
                for entry in read(record):
                    # After a crash services repeat what they wrote, in the same words. People never do.
                    same = entry.at if topic == topics.control else entry.hash
                    if model in (None, entry.model):
                        found.setdefault((topic, entry.what, same), entry)
    return sorted(found.values(), key=lambda entry: (entry.time, entry.at))
