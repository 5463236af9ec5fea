"""What holds for every log: batches do not matter, repeats add nothing, ids do not meet, the counters balance."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from services.joiner.fold import Emission
from services.joiner.meta import Meta
from shared.events.block import Block, BlockKind, encode
from shared.log import Headers
from tests.kit.halves import HOUR, Half, L, P, Shard, erasure, folded, labels, predictions, records, rows, tick

NAMES = st.sampled_from("abcd")
CLASSES = st.sampled_from(["yes", "no", "maybe"])
PREDICTIONS = st.builds(P, id=NAMES, prediction=CLASSES, segment=st.sampled_from([None, "low", "high"]))
CONFLICTS = st.builds(P, id=NAMES, content=st.integers(0, 2))
LABELS = st.builds(
    L,
    id=NAMES,
    label=CLASSES,
    version=st.none() | st.integers(1, 3),
    ts=st.integers(0, 3),
    offset=st.integers(0, 50),
)
BLOCKS: st.SearchStrategy[Block] = st.one_of(
    st.builds(
        lambda rows, version: predictions(*rows, version=version),
        st.lists(PREDICTIONS | CONFLICTS, min_size=1, max_size=4),
        st.sampled_from(["v1", "v2"]),
    ),
    st.lists(LABELS, min_size=1, max_size=4).map(lambda rows: labels(*rows)),
    st.lists(NAMES, min_size=1, max_size=2).map(lambda names: erasure(*names)),
    st.just(tick()),
)
HALVES = st.lists(st.tuples(BLOCKS, st.integers(0, 60).map(lambda hours: hours * HOUR)), max_size=12)


def written(outputs: list[Emission]) -> list[tuple[int, int, tuple[bytes, Headers]]]:
    return [(output.partition, output.log_time, encode(output.block)) for output in outputs]


@given(halves=HALVES, data=st.data())
@settings(max_examples=150)
def test_batches_do_not_matter(halves: list[Half], data: st.DataObject) -> None:
    log = records(halves)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(log)), max_size=4)) | {0, len(log)})
    whole, parts = Shard(), Shard()
    whole.fold(log)
    for first, last in pairwise(cuts):
        parts.fold(log[first:last])
    assert written(parts.outputs) == written(whole.outputs)
    assert parts.state == whole.state


@given(halves=HALVES)
@settings(max_examples=100)
def test_a_log_written_twice_serves_and_joins_the_same(halves: list[Half]) -> None:
    still = [(block, 0) for block, _ in halves]  # within the horizon
    columns = ["label", "prediction", "ts"]
    once, twice = folded(*still), folded(*still, *still)
    assert rows(twice.outputs, BlockKind.SERVED) == rows(once.outputs, BlockKind.SERVED)
    assert rows(twice.outputs, BlockKind.LABELLED, columns) == rows(once.outputs, BlockKind.LABELLED, columns)
    assert twice.entries == once.entries


@given(halves=HALVES)
@settings(max_examples=100)
def test_the_counters_balance(halves: list[Half]) -> None:
    shard = folded(*halves)
    for count in Meta.unpack(shard.meta).counters.values():
        assert count.predictions == sum(block.rows for block, _ in halves if block.kind is BlockKind.PREDICTION)
        assert count.labels == sum(block.rows for block, _ in halves if block.kind is BlockKind.LABEL)
        assert count.erasures == sum(block.rows for block, _ in halves if block.kind is BlockKind.ERASURE)
        assert count.served == len(rows(shard.outputs, BlockKind.SERVED))


@given(rows_in=st.permutations([*(P(name) for name in "abcd"), *(L(name, "no") for name in "abef")]))
@settings(max_examples=100)
def test_ids_do_not_meet(rows_in: list[P | L]) -> None:
    shard = folded(*((predictions(row) if isinstance(row, P) else labels(row), 0) for row in rows_in))
    straight = folded(predictions(*map(P, "abcd")), labels(*(L(name, "no") for name in "abef")))
    columns = ["label", "prediction", "ts", "label_ts"]
    assert sorted(map(repr, rows(shard.outputs, BlockKind.LABELLED, columns))) == sorted(
        map(repr, rows(straight.outputs, BlockKind.LABELLED, columns))
    )
    assert shard.count() == straight.count()
