from __future__ import annotations

from services.detector.performance.served_index import KEPT, NEAR, ServedIndex
from services.detector.structs import decode_struct, encode_struct


def index(blocks: int, rows: int = 10) -> ServedIndex:
    """Return an index of blocks of equal length; block n of shard 0 has number 100 n."""
    found = ServedIndex()
    for block in range(blocks):
        found.append(0, block * 100, block * rows)
    return found


def test_a_label_finds_the_row_of_its_prediction() -> None:
    found = index(3)

    assert [found.row(0, seq, row) for seq, row in [(0, 0), (0, 9), (100, 0), (200, 7)]] == [0, 9, 10, 27]


def test_shards_have_rows_of_their_own() -> None:
    found = ServedIndex()
    found.append(0, 100, 0)
    found.append(1, 100, 10)
    found.append(0, 200, 15)

    assert found.row(1, 100, 3) == 13
    assert found.row(0, 200, 3) == 18


def test_what_was_served_before_this_watch_began_is_its_first_row() -> None:
    found = ServedIndex()
    found.append(0, 500, 0)

    assert found.row(0, 100, 7) == 0
    assert found.row(1, 500, 7) == 0


def test_a_long_index_is_thinned_and_stays_near() -> None:
    blocks = 20 * KEPT
    found = index(blocks)

    assert len(found.seqs[0]) == len(found.rows[0]) <= KEPT
    for block in range(0, blocks, 500):
        row = found.row(0, block * 100, 4)
        assert row <= block * 10 + 4
        assert block * 10 + 4 - row <= 2 * NEAR * blocks * 10 + 10
    for block in range(blocks - KEPT // 2, blocks, 100):
        assert found.row(0, block * 100, 4) == block * 10 + 4


def test_an_index_survives_a_checkpoint() -> None:
    found = index(50)

    assert decode_struct(encode_struct(found), ServedIndex) == found
