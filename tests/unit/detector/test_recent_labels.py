from __future__ import annotations

import math

import numpy as np
import pytest

from services.detector.performance.evidence import Hypothesis
from services.detector.performance.recent_labels import REACH, RecentLabels
from services.detector.structs import FloatArray, IntArray, decode_struct, encode_struct
from shared.events.alert import Place
from shared.events.block import MAX_ROWS


def filled(rows: IntArray, values: FloatArray, cut: int = MAX_ROWS, ages: IntArray | None = None) -> RecentLabels:
    """Return labels of predictions at `rows`, a minute apart; label i stands at offset i."""
    recent = RecentLabels.of(1)
    topic = recent.topic_code("ground-truth")
    for start in range(0, len(rows), cut):
        part = slice(start, start + cut)
        count = len(rows[part])
        recent.append(
            values[part, None],
            np.zeros(count, np.int64) if ages is None else ages[part],
            rows[part],
            rows[part] * 60_000,
            np.full(count, topic, np.int32),
            np.full(count, 2, np.int64),
            np.arange(start, start + count),
        )
    return recent


def flags_of(rows: IntArray, change: int) -> FloatArray:
    """Return every tenth flag set before the change, every second after it."""
    flags: FloatArray = np.where(rows < change, rows % 10 == 0, rows % 2 == 0).astype(np.float64)
    return flags


def test_the_onset_is_where_the_rate_changed_in_the_order_of_predictions() -> None:
    rows = np.arange(2_000)
    shuffled = np.random.default_rng(2).permutation(rows)
    recent = filled(shuffled, flags_of(shuffled, 1_500))

    onset = recent.onset(1_999, Hypothesis(0, [0.1], [0.5]))

    offset = shuffled.tolist().index(1_500)
    assert onset == Place(row=1_500, ts="1970-01-02T01:00:00.000Z", topic="ground-truth", partition=2, offset=offset)


def test_a_late_label_of_an_old_prediction_does_not_move_the_onset() -> None:
    rows = np.concatenate([np.arange(5_000, 7_000), [12]])
    flags = np.append(flags_of(rows[:-1], 6_500), 1.0)

    assert filled(rows, flags).onset(2_000, Hypothesis(0, [0.1], [0.5])).row == 6_500


def test_the_onset_of_a_shift_of_scores_is_where_their_mean_changed() -> None:
    rows = np.arange(1_000)
    scores = np.where(rows < 700, 0.3, -0.9)

    assert filled(rows, scores).onset(999, Hypothesis(0, [0.3], [-0.9], of_rates=False)).row == 700


def test_undefined_values_are_no_evidence() -> None:
    rows = np.arange(1_000)
    flags = np.where(rows % 3 == 0, flags_of(rows // 3, 200), np.nan)

    assert filled(rows, flags).onset(999, Hypothesis(0, [0.1], [0.5])).row == 600


@pytest.mark.parametrize("before", [0.0, 0.1])
def test_a_rate_of_nought_or_one_has_an_onset(before: float) -> None:
    rows = np.arange(100)

    onset = filled(rows, (rows >= 60).astype(np.float64)).onset(99, Hypothesis(0, [before], [1.0]))

    assert onset.row == 60
    assert math.isfinite(onset.row)


def test_labels_after_the_one_that_told_are_not_looked_at() -> None:
    rows = np.arange(1_000)
    flags = flags_of(rows, 500)
    flags[800:] = 0.0

    assert filled(rows, flags).onset(799, Hypothesis(0, [0.1], [0.5])).row == 500


def test_no_more_labels_than_the_reach_are_looked_at() -> None:
    rows = np.arange(20_000)
    recent = filled(rows, np.ones(20_000))

    assert recent.onset(19_999, Hypothesis(0, [0.1], [0.5])).row == 20_000 - REACH
    assert recent.onset(18_001, Hypothesis(0, [0.1], [0.5])).row == 18_002 - REACH


@pytest.mark.parametrize("cut", [1, 7, 500])
def test_how_labels_are_cut_into_blocks_does_not_matter(cut: int) -> None:
    rows = np.random.default_rng(3).permutation(10_000)
    flags = flags_of(rows, 6_000)
    whole = filled(rows, flags)

    assert filled(rows, flags, cut).onset(9_999, Hypothesis(0, [0.1], [0.5])) == whole.onset(
        9_999, Hypothesis(0, [0.1], [0.5])
    )
    assert encode_struct(filled(rows, flags, cut)) == encode_struct(whole)


def test_recent_labels_survive_a_checkpoint() -> None:
    rows = np.arange(9_000)
    recent = filled(rows, flags_of(rows, 8_000))
    restored = decode_struct(encode_struct(recent), RecentLabels)

    assert encode_struct(restored) == encode_struct(recent)
    assert restored.onset(8_999, Hypothesis(0, [0.1], [0.5])).row == 8_000
