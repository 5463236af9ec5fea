from __future__ import annotations

import numpy as np

from services.detector.pairs.memory import MOST_BYTES, MOST_ROWS, ServedValues
from services.detector.structs import FloatArray, decode_struct, encode_struct

FEATURES = 2


def values(first: int, rows: int) -> FloatArray:
    """Return rows that say which they are."""
    return np.arange(first, first + rows, dtype=np.float64)[:, None] + [0.0, 0.5]


def filled(rows: int, *, rows_of_horizon: float = 100.0, cut: int = 100, slots: int = 64) -> ServedValues:
    """Return a memory of a few slots after rows of two shards in turn, a block of `cut` rows each."""
    memory = ServedValues.of(FEATURES, rows_of_horizon * MOST_ROWS / slots)
    memory.shard, memory.key, memory.row, memory.values = (
        table[:slots].copy() for table in (memory.shard, memory.key, memory.row, memory.values)
    )
    for block, first in enumerate(range(0, rows, cut)):
        memory.append(block % 2, block << 16, first, values(first, min(cut, rows - first)))
    return memory


def test_a_label_finds_what_was_served() -> None:
    memory = filled(50, rows_of_horizon=50.0, cut=10)

    slots = memory.find(1, np.array([3 << 16, 1 << 16, 3 << 16]), np.array([0, 9, 10]))

    assert memory.values[slots[:2]].tolist() == [[30.0, 30.5], [19.0, 19.5]]
    assert memory.row[slots[:2]].tolist() == [30, 19]
    assert slots[2] == -1
    assert memory.find(0, np.array([3 << 16]), np.array([0])).tolist() == [-1]
    assert memory.find(7, np.array([3 << 16]), np.array([0])).tolist() == [-1]


def test_what_is_older_than_the_ring_is_forgotten() -> None:
    memory = filled(200, rows_of_horizon=64.0, cut=10)

    assert sorted(memory.row.tolist()) == list(range(136, 200))
    assert (memory.ring.entries, memory.ring.limit, memory.ring.dropped) == (64, 64, 136)


def test_of_more_rows_in_a_horizon_than_it_holds_every_so_many_is_kept() -> None:
    memory = filled(300, rows_of_horizon=256.0, cut=7)

    assert memory.stride == 4
    assert sorted(memory.row.tolist()) == list(range(44, 300, 4))
    assert memory.values[:, 0].tolist() == memory.row.tolist()


def test_how_rows_are_cut_into_blocks_does_not_decide_what_is_kept() -> None:
    by_cut = [filled(1_000, rows_of_horizon=300.0, cut=cut) for cut in (1, 13, 500, 1_000)]

    for memory in by_cut[1:]:
        assert memory.row.tolist() == by_cut[0].row.tolist()
        assert memory.values.tolist() == by_cut[0].values.tolist()
        assert memory.ring == by_cut[0].ring


def test_many_features_are_remembered_of_fewer_rows() -> None:
    assert len(ServedValues.of(1, 10).shard) == MOST_ROWS
    assert ServedValues.of(512, 10).values.nbytes == MOST_BYTES


def test_a_memory_reads_back() -> None:
    memory = filled(300)

    again = decode_struct(encode_struct(memory), ServedValues)

    for one in (memory, again):
        one.append(0, 99 << 16, 300, values(300, 40))
    assert encode_struct(again) == encode_struct(memory)
