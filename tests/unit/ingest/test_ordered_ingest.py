"""Files merged by time: whatever the blocks, the join is that of single rows in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from services.joiner.fold import Fold
from services.joiner.meta import Counters, Meta
from services.joiner.shapes import Shapes
from services.joiner.words import Words
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.definition import Definition
from shared.events.block import Block, BlockKind, decode
from shared.events.dead_letter import DeadLetter
from shared.ingest.ordered import OrderedIngest
from shared.log import Record
from shared.topics import Topics
from shared.values import format_ts
from tests.kit.ingest import KEY, NOW, batch_of, catalogue_of, encoded, intakes, label, loan, prediction

ONE_LOG = Topics(halves_partitions=1, observations_partitions=1)
HOUR = 3_600_000
P, L = BlockKind.PREDICTION, BlockKind.LABEL
Event = tuple[BlockKind, str, int, str]  # kind, request, log time, version


def event(kind: BlockKind, name: str, ts_ms: int, version: str = "v1") -> Event:
    return kind, name, ts_ms, version


def payload(happened: Event) -> bytes:
    kind, name, ts_ms, version = happened
    ts = format_ts(ts_ms)
    if kind is P:
        return encoded(prediction(request_id=name, ts=ts, model_version=version))
    return encoded(label(request_id=name, ts=ts))


def written(events: list[Event], definition: Definition, *, one_by_one: bool = False) -> list[Record]:
    """Return the halves that a merged input becomes."""
    broker = MemoryBroker(ManualClock(NOW))
    broker.create(*ONE_LOG.specs())
    writer = broker.writer()
    ingest = OrderedIngest(intakes(catalogue_of(definition), ONE_LOG), writer, ONE_LOG)
    for offset, happened in enumerate(events):
        ingest.feed(happened[0], payload(happened), happened[2], offset)
        if one_by_one:
            ingest.flush()
    ingest.flush()
    writer.flush()
    return broker.records(ONE_LOG.halves)


def shape(records: list[Record]) -> list[tuple[BlockKind, int]]:
    return [(block.kind, block.rows) for block in map(decode, records)]


@dataclass
class Joiner:
    """The joiner's fold with a memory that forgets as Redis does: two generations, the older one dropped."""

    meta: bytes = field(default_factory=lambda: Meta.fresh(1).pack())
    words: bytes = b""
    current: dict[bytes, bytes] = field(default_factory=dict)
    older: dict[bytes, bytes] = field(default_factory=dict)
    outputs: list[Block] = field(default_factory=list)

    def join(self, records: list[Record]) -> Counters:
        for record in records:
            fold = Fold(
                0, KEY, Meta.unpack(self.meta), Shapes(Words.unpack(self.words)), {**self.older, **self.current}
            )
            self.outputs += [emission.block for emission in fold.fold(record, decode(record))]
            change = fold.change()
            self.meta, self.words = change.meta, self.words if change.words is None else change.words
            if change.rotate:
                self.older, self.current = self.current, {}
            self.current |= change.entries
        return Meta.unpack(self.meta).counters["loan"]

    def rows(self, kind: BlockKind) -> list[tuple[str, bytes, int]]:
        blocks = [block for block in self.outputs if block.kind is kind]
        return [(b.model_version, row["id"], row["ts"]) for b in blocks for row in batch_of(b).to_pylist()]


def test_predictions_and_labels_that_take_turns_still_fill_blocks() -> None:
    events = [event(kind, f"r{i - 10 * (kind is L)}", NOW + i) for i in range(100) for kind in (P, L)]
    assert shape(written(events, loan())) == [(P, 100), (L, 100)]


def test_each_row_brings_its_own_log_time() -> None:
    [record] = written([event(P, "a", NOW), event(P, "b", NOW + 5)], loan())
    assert batch_of(decode(record)).column("log_ts").to_pylist() == [NOW, NOW + 5]
    assert record.timestamp_ms == NOW + 5


def test_a_label_before_its_prediction_stays_before_it() -> None:
    events = [event(P, "a", NOW), event(L, "b", NOW + 1), event(P, "b", NOW + 2), event(L, "a", NOW + 3)]
    assert shape(written(events, loan())) == [(P, 1), (L, 1), (P, 1), (L, 1)]


def test_predictions_of_two_versions_keep_their_order() -> None:
    events = [event(P, f"r{i}", NOW + i, f"v{i // 2 % 2}") for i in range(6)]
    assert shape(written(events, loan())) == [(P, 2), (P, 2), (P, 2)]


def test_a_block_ends_with_the_day() -> None:
    midnight = NOW - NOW % (24 * HOUR) + 24 * HOUR
    events = [event(P, f"r{i}", midnight + (i - 2) * HOUR) for i in range(6)]
    assert shape(written(events, loan())) == [(P, 2), (P, 4)]


def test_a_full_block_ends_the_window() -> None:
    events = [event(P, f"r{i}", NOW) for i in range(2_001)]
    events.insert(3, event(L, "x", NOW))
    assert shape(written(events, loan())) == [(P, 2_000), (L, 1), (P, 1)]


def test_events_that_cannot_be_used_are_dead_letters_of_the_backtest() -> None:
    broker = MemoryBroker(ManualClock(NOW))
    broker.create(*ONE_LOG.specs())
    writer = broker.writer()
    ingest = OrderedIngest(intakes(catalogue_of(loan()), ONE_LOG), writer, ONE_LOG)
    ingest.feed(P, b"garbage", 5, 17)
    ingest.feed(L, payload(event(L, "a", 5)), 5, 0)
    writer.flush()
    [record] = broker.records(ONE_LOG.dead_letters)
    letter = msgspec.json.decode(record.value or b"", type=DeadLetter)
    assert (letter.topic, letter.offset, letter.reason, letter.service) == ("predictions", 17, "json", "backtest")
    assert dict(ingest.counts(P)) == {("", "json"): 1}
    assert dict(ingest.counts(L)) == {("loan", "ts_suspect"): 1, ("loan", "rows"): 1}


moves = st.lists(
    st.tuples(
        st.sampled_from([P, P, L]),
        st.integers(0, 4).map("r{}".format),
        st.sampled_from([0, 1, HOUR, 7 * HOUR, 23 * HOUR, 24 * HOUR, 30 * HOUR, 60 * HOUR]),
        st.sampled_from(["v1", "v1", "v1", "v2"]),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=150)
@given(moves, st.sampled_from(["5h", "24h", "60h", "10d"]))
def test_the_join_is_that_of_single_rows_in_order(steps: list[Event], horizon: str) -> None:
    definition = msgspec.structs.replace(loan(), spec=msgspec.structs.replace(loan().spec, label_horizon=horizon))
    events, now = [], NOW
    for kind, name, pause, version in steps:
        now += pause
        events.append(event(kind, name, now, version))
    strict, ordered = Joiner(), Joiner()
    assert ordered.join(written(events, definition)) == strict.join(written(events, definition, one_by_one=True))
    assert ordered.rows(BlockKind.SERVED) == strict.rows(BlockKind.SERVED)
    for kind in (BlockKind.LABELLED, BlockKind.CORRECTED):
        assert sorted(ordered.rows(kind)) == sorted(strict.rows(kind))


def test_a_prediction_that_goes_ahead_does_not_make_the_joiner_forget_too_early() -> None:
    midnight = NOW - NOW % (24 * HOUR)
    definition = msgspec.structs.replace(loan(), spec=msgspec.structs.replace(loan().spec, label_horizon="60h"))
    events = [
        event(P, "first", midnight + HOUR),
        event(P, "asked", midnight + 60 * HOUR),
        event(P, "next", midnight + 61 * HOUR, "v2"),
        event(L, "asked", midnight + 120 * HOUR),
        event(P, "ahead", midnight + 121 * HOUR),
    ]
    records = written(events, definition)
    assert shape(records) == [(P, 1), (P, 1), (P, 1), (P, 1), (L, 1)]
    counters = Joiner().join(records)
    assert (counters.labels_joined, counters.unmatched_label) == (1, 0)


@given(moves)
def test_no_row_is_older_than_one_of_a_block_before_it_by_more_than_a_day(steps: list[Event]) -> None:
    events, now = [], NOW
    for kind, name, pause, version in steps:
        now += pause
        events.append(event(kind, name, now, version))
    times = [batch_of(decode(r)).column("log_ts").to_pylist() for r in written(events, loan())]
    assert all(max(before) - min(after) < 24 * HOUR for before, after in pairwise(times))
