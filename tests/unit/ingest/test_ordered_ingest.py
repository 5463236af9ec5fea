"""Files merged by time: whatever the blocks, the join is that of single rows in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

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
from shared.ingest.gathering import MAX_WAITING_BYTES
from shared.ingest.ordered import Event, OrderedIngest
from shared.log import Record
from shared.topics import Topics
from shared.values import format_ts
from tests.kit.ingest import KEY, NOW, batch_of, catalogue_of, encoded, intakes, label, loan, prediction

ONE_LOG = Topics(halves_partitions=1, observations_partitions=1)
HOUR = 3_600_000
P, L = BlockKind.PREDICTION, BlockKind.LABEL


def event(kind: BlockKind, name: str, ts_ms: int, version: str = "v1") -> Event:
    ts = format_ts(ts_ms)
    if kind is P:
        return Event(P, encoded(prediction(request_id=name, ts=ts, model_version=version)), ts_ms, 0)
    return Event(L, encoded(label(request_id=name, ts=ts)), ts_ms, 0)


class Ingest:
    """A merged input in memory; an event's offset is its place in it."""

    def __init__(self, definition: Definition) -> None:
        self.broker = MemoryBroker(ManualClock(NOW))
        self.broker.create(*ONE_LOG.specs())
        self._writer = self.broker.writer()
        self.ordered = OrderedIngest(intakes(catalogue_of(definition), ONE_LOG), self._writer, ONE_LOG)
        self._fed = 0

    def feed(self, events: Sequence[Event]) -> None:
        self.ordered.feed([happened._replace(offset=self._fed + i) for i, happened in enumerate(events)])
        self._fed += len(events)

    def halves(self) -> list[Record]:
        self.ordered.flush()
        self._writer.flush()
        return self.broker.records(ONE_LOG.halves)

    def letters(self) -> list[DeadLetter]:
        records = self.broker.records(ONE_LOG.dead_letters)
        return [msgspec.json.decode(record.value or b"", type=DeadLetter) for record in records]


def written(events: list[Event], definition: Definition, *, row_by_row: bool = False) -> list[Record]:
    """Return the halves that a merged input becomes; `row_by_row`: each row a block of its own."""
    ingest = Ingest(definition)
    if not row_by_row:
        ingest.feed(events)
        return ingest.halves()
    for happened in events:
        ingest.feed([happened])
        ingest.ordered.flush()
    return ingest.halves()


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
    ingest = Ingest(loan())
    ingest.ordered.feed([Event(P, b"garbage", 5, 17), event(L, "a", 5)])
    ingest.halves()
    [letter] = ingest.letters()
    assert (letter.topic, letter.offset, letter.reason, letter.service) == ("predictions", 17, "json", "backtest")
    assert dict(ingest.ordered.counts(P)) == {("", "json"): 1}
    assert dict(ingest.ordered.counts(L)) == {("loan", "ts_suspect"): 1, ("loan", "rows"): 1}


def test_a_block_is_full_once_its_payloads_are() -> None:
    large = b'{"error": "' + b"x" * (MAX_WAITING_BYTES // 40) + b'", '
    events = [event(P, f"r{i}", NOW) for i in range(100)]
    events = [happened._replace(payload=large + happened.payload[1:]) for happened in events]
    assert shape(written(events, loan())) == [(P, 40), (P, 40), (P, 20)]


Move = tuple[BlockKind, str, int, str]  # kind, request, ms since the one before, version
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


def happening(steps: list[Move]) -> list[Event]:
    times = accumulate((pause for _, _, pause, _ in steps), initial=NOW)
    next(times)
    return [event(kind, name, now, version) for (kind, name, _, version), now in zip(steps, times, strict=True)]


@settings(max_examples=150)
@given(moves, st.sampled_from(["5h", "24h", "60h", "10d"]))
def test_the_join_is_that_of_single_rows_in_order(steps: list[Move], horizon: str) -> None:
    definition = msgspec.structs.replace(loan(), spec=msgspec.structs.replace(loan().spec, label_horizon=horizon))
    events, strict, ordered = happening(steps), Joiner(), Joiner()
    assert ordered.join(written(events, definition)) == strict.join(written(events, definition, row_by_row=True))
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


GARBAGE = st.builds(
    Event, st.sampled_from([P, L]), st.sampled_from([b"garbage", b"[]", b"NaN"]), st.just(NOW), st.just(0)
)


@given(moves, st.lists(st.tuples(st.integers(0, 60), GARBAGE), max_size=3), st.integers(1, 61))
def test_how_many_are_fed_at_once_does_not_matter(
    steps: list[Move], garbage: list[tuple[int, Event]], size: int
) -> None:
    events = happening(steps)
    for place, event in garbage:
        before = events[place - 1].ts_ms if 0 < place <= len(events) else NOW
        events.insert(place, event._replace(ts_ms=before))
    together, single = Ingest(loan()), Ingest(loan())

    for start in range(0, len(events), size):
        together.feed(events[start : start + size])
    for event in events:
        single.feed([event])

    assert together.halves() == single.halves()
    assert together.letters() == single.letters()
    for kind in (P, L):
        assert together.ordered.counts(kind) == single.ordered.counts(kind)


@given(moves)
def test_no_row_is_older_than_one_of_a_block_before_it_by_more_than_a_day(steps: list[Move]) -> None:
    times = [batch_of(decode(r)).column("log_ts").to_pylist() for r in written(happening(steps), loan())]
    assert all(max(before) - min(after) < 24 * HOUR for before, after in pairwise(times))
