from __future__ import annotations

import numpy as np
import pytest

from services.detector.performance.label_rows import KEPT, REACH, LabelRows
from services.detector.structs import decode_struct, encode_struct
from shared.events.block import MAX_ROWS


def filled(rows: list[int], cut: int = MAX_ROWS) -> LabelRows:
    label_rows = LabelRows()
    for start in range(0, len(rows), cut):
        label_rows.append(np.array(rows[start : start + cut], np.int64))
    return label_rows


def test_the_onset_is_the_earliest_row_among_the_labels_looked_at() -> None:
    label_rows = filled([50, 7, 30, 31, 12, 90])

    assert label_rows.labels == 6
    assert label_rows.since(1, 5) == 90
    assert label_rows.since(2, 5) == 12
    assert label_rows.since(3, 4) == 12
    assert label_rows.since(5, 5) == 7


def test_more_labels_than_there_were_are_all_labels() -> None:
    assert filled([50, 7, 30]).since(100, 0) == 50
    assert filled([50, 7, 30]).since(100, 2) == 7


def test_no_more_labels_than_the_reach_are_looked_at() -> None:
    label_rows = filled(list(range(20_000)))

    assert label_rows.since(20_000, 19_999) == 20_000 - REACH
    assert label_rows.since(20_000, 18_000) == 18_001 - REACH
    assert REACH + MAX_ROWS == KEPT


@pytest.mark.parametrize("cut", [1, 7, 500])
def test_how_labels_are_cut_into_blocks_does_not_matter(cut: int) -> None:
    rows = np.random.default_rng(3).permutation(10_000).tolist()
    whole = filled(rows)

    for back in (1, 100, REACH, 9_000):
        assert filled(rows, cut).since(back, 9_999) == whole.since(back, 9_999)
        assert filled(rows[:8_100], cut).since(back, 8_099) == whole.since(back, 8_099)


def test_label_rows_survive_a_checkpoint() -> None:
    label_rows = filled(list(range(9_000)))
    restored = decode_struct(encode_struct(label_rows), LabelRows)

    assert encode_struct(restored) == encode_struct(label_rows)
    assert restored.since(600, 8_999) == 8_400
