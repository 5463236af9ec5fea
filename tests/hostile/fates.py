"""What may become of an event, whatever its bytes are."""

from __future__ import annotations

from collections.abc import Sequence

from shared.events.block import Block, BlockKind, decode, encode
from shared.events.dead_letter import REASONS
from shared.ingest.intake import Intake, Refused
from shared.log import Record, Records, TopicPartition
from tests.kit.ingest import NOW, TOPICS, animals, catalogue_of, feed, intakes, loan, price

SOURCE = TopicPartition(TOPICS.predictions, 0)


def intake(kind: BlockKind) -> Intake:
    """Return what takes in events of models of every task."""
    return intakes(catalogue_of(loan(), animals(), price(), feed()))[kind]


def meet(kind: BlockKind, payloads: Sequence[bytes], taken: Intake | None = None) -> None:
    """Take events in: each becomes a row of a block that reads back, or is refused for a documented reason."""
    records = Records(SOURCE, range(len(payloads)), [NOW] * len(payloads), payloads)
    offsets: list[int] = []
    for outcome in (taken or intake(kind)).admit(records, stale_at_ms=NOW):
        if isinstance(outcome, Refused):
            assert outcome.malformed.reason in REASONS
            offsets.append(outcome.record.offset)
            continue
        offsets += outcome.rows.offsets
        batch = outcome.model.codec.batch([outcome.rows], log_time=False)
        block = Block(kind, outcome.model.name, outcome.model_version, outcome.model.stamp, batch)
        value, headers = encode(block)
        read = decode(Record(TOPICS.halves, 0, 0, NOW, None, value, headers))
        assert read.batch is not None
        assert read.batch.equals(batch, check_metadata=True) or read.rows == len(outcome.rows)
    assert sorted(offsets) == list(range(len(payloads)))
