"""Areas under curves from counts equal scikit-learn's from rows, and the counts leave no trace of what is gone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from services.detector.performance.metrics.curves import average_precision, roc_auc, unordered
from services.detector.performance.score_counts import EXACT, ScoreCounts
from services.detector.structs import FloatArray, IntArray, decode_struct, encode_struct

TENTHS = np.arange(1, EXACT)[np.newaxis] / EXACT


def counted(scores: FloatArray, truths: FloatArray, most: int = EXACT, edges: FloatArray = TENTHS) -> ScoreCounts:
    tables = ScoreCounts.of(1)
    add(tables, np.full(len(scores), tables.take()), scores, truths, most=most, edges=edges)
    return tables


def add(
    tables: ScoreCounts,
    slots: IntArray,
    scores: FloatArray,
    truths: FloatArray,
    sign: int = 1,
    *,
    most: int = EXACT,
    edges: FloatArray = TENTHS,
) -> None:
    tables.add(slots, np.arange(len(scores)), scores[:, None], truths[:, None], edges, most, sign)


def sample(rows: int, seed: int, decimals: int = 15) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    truths = (rng.random(rows) < 0.3).astype(np.float64)
    return np.round(1 / (1 + np.exp(-rng.normal(truths * 2, 1.5))), decimals), truths


@pytest.mark.parametrize(("rows", "decimals"), [(500, 15), (5_000, 2), (512, 15)])
def test_up_to_512_distinct_scores_the_areas_are_exact(rows: int, decimals: int) -> None:
    scores, truths = sample(rows, 1, decimals)

    negatives, positives, in_bins = counted(scores, truths).table(0, 0)

    assert not in_bins
    assert roc_auc(negatives, positives).value == pytest.approx(metrics.roc_auc_score(truths, scores), rel=1e-12)
    expected = metrics.average_precision_score(truths, scores)
    assert average_precision(negatives, positives).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_in_bins_the_areas_are_within_their_bound(seed: int) -> None:
    scores, truths = sample(5_000, seed)
    quantiles = np.quantile(sample(50_000, 99)[0], np.arange(1, EXACT) / EXACT)[np.newaxis]

    negatives, positives, in_bins = counted(scores, truths, edges=quantiles).table(0, 0)

    assert in_bins
    error = abs((roc_auc(negatives, positives).value or 0) - metrics.roc_auc_score(truths, scores))
    assert error <= min(unordered(negatives, positives), 1e-4)
    precision = average_precision(negatives, positives).value or 0
    assert abs(precision - metrics.average_precision_score(truths, scores)) <= 2e-3


def test_without_a_limit_all_scores_are_told_apart() -> None:
    scores, truths = sample(3_000, 2)

    negatives, positives, in_bins = counted(scores, truths, most=1 << 30).table(0, 0)

    assert not in_bins
    assert roc_auc(negatives, positives).value == pytest.approx(metrics.roc_auc_score(truths, scores), rel=1e-12)


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60), st.randoms(use_true_random=False))
def test_what_is_taken_back_leaves_no_trace(rows: list[tuple[int, bool]], random: object) -> None:
    scores, truths = (np.array(column, np.float64) for column in (zip(*rows, strict=True) if rows else ((), ())))
    more, others = sample(40, 7)
    expected = counted(scores / 40, truths)
    if not rows:
        expected = counted(np.zeros(0), np.zeros(0))

    found = counted(more, others)
    order = np.arange(len(scores))
    random.shuffle(order)  # type: ignore[attr-defined]
    slots = np.zeros(len(scores), np.int64)
    add(found, slots, scores[order] / 40, truths[order])
    add(found, np.zeros(40, np.int64), more, others, -1)

    ours, theirs = found.table(0, 0), expected.table(0, 0)
    assert [ours[0].tolist(), ours[1].tolist(), ours[2]] == [theirs[0].tolist(), theirs[1].tolist(), theirs[2]]


def test_the_cut_into_batches_leaves_the_same_bytes() -> None:
    scores, truths = sample(1_200, 3)
    slots = np.arange(1_200) % 3
    states = []
    for step in (1, 7, 1_200):
        tables = ScoreCounts.of(1)
        for _ in range(3):
            tables.take()
        for at in range(0, 1_200, step):
            part = slice(at, at + step)
            add(tables, slots[part], scores[part], truths[part])
        states.append(encode_struct(tables))

    assert states[0] == states[1] == states[2]


@pytest.mark.parametrize("rows", [0, 5, 511, 900])
def test_a_checkpoint_holds_the_entries_that_are_used(rows: int) -> None:
    scores, truths = sample(rows + 3, 6)
    tables = counted(scores[:rows], truths[:rows])
    add(tables, np.full(3, tables.take()), scores[rows:], truths[rows:])

    content = encode_struct(tables.packed())

    assert encode_struct(decode_struct(content, ScoreCounts).unpacked().packed()) == content
    assert len(content) < 200 + 12 * min(rows + 3, EXACT)


@given(
    st.lists(st.tuples(st.integers(0, 45), st.booleans(), st.booleans(), st.booleans()), max_size=150),
    st.integers(20, 40),
)
def test_when_entries_are_put_in_order_leaves_no_trace(rows: list[tuple[int, bool, bool, bool]], most: int) -> None:
    edges = np.arange(1, most)[np.newaxis] / most
    looked_at, left_alone = (counted(np.zeros(0), np.zeros(0)) for _ in range(2))
    for score, truth, is_taken_back, is_looked_at in rows:
        for tables in (looked_at, left_alone):
            one = np.array([score / 45]), np.array([float(truth)])
            add(tables, np.zeros(1, np.int64), *one, -1 if is_taken_back else 1, most=most, edges=edges)
        if is_looked_at:
            looked_at = decode_struct(encode_struct(looked_at.packed()), ScoreCounts).unpacked()

    assert encode_struct(looked_at.packed()) == encode_struct(left_alone.packed())


def test_a_cohort_of_many_rows_counts_them_all() -> None:
    scores, truths = np.zeros(70_000), np.arange(70_000) % 7 == 0
    tables = ScoreCounts.of(1, rows=70_000)
    add(tables, np.full(70_000, tables.take()), scores, truths.astype(np.float64))

    assert [part.tolist() for part in tables.table(0, 0)[:2]] == [[60_000], [10_000]]


def test_a_slot_that_is_given_back_is_empty_for_the_next() -> None:
    scores, truths = sample(600, 4)
    tables = counted(scores, truths)
    tables.give_back(0)

    assert tables.take() == 0
    assert [len(part) for part in tables.table(0, 0)[:2]] == [0, 0]
    assert not tables.table(0, 0)[2]


def test_missing_scores_and_labels_are_not_counted() -> None:
    tables = counted(np.array([0.5, np.nan, 0.7]), np.array([1.0, 1.0, np.nan]))

    assert [part.tolist() for part in tables.table(0, 0)[:2]] == [[0], [1]]


def test_delongs_interval_is_the_one_of_its_structural_components() -> None:
    scores, truths = sample(300, 5, decimals=2)
    above, below = scores[truths == 1], scores[truths == 0]
    wins = (above[:, None] > below).astype(float) + 0.5 * (above[:, None] == below)
    variance = wins.mean(axis=1).var(ddof=1) / len(above) + wins.mean(axis=0).var(ddof=1) / len(below)

    found = roc_auc(*counted(scores, truths).table(0, 0)[:2])

    assert found.value == pytest.approx(wins.mean())
    assert found.high == pytest.approx(wins.mean() + 1.959963984540054 * np.sqrt(variance))


def test_one_class_alone_has_no_area() -> None:
    found = roc_auc(*counted(np.array([0.1, 0.2]), np.array([1.0, 1.0])).table(0, 0)[:2])

    assert (found.value, found.note) == (None, "no scored label is a negative class")


def test_scores_that_tell_the_classes_apart_have_a_whole_area() -> None:
    negatives, positives, _ = counted(np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.0, 0.0, 1.0, 1.0])).table(0, 0)

    assert (roc_auc(negatives, positives).value, average_precision(negatives, positives).value) == (1.0, 1.0)
