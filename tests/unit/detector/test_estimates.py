"""Performance estimated before labels come: right where scores are, and said to be wrong where labels differ."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics
from sklearn.isotonic import IsotonicRegression

from services.cli.publication import Publication
from services.detector.baseline import Baseline
from services.detector.baseline_build import build_baseline
from services.detector.estimates.expected import PREFIX
from services.detector.estimates.watch import EstimateWatch
from services.detector.performance.cell_cohorts import MAX_COHORTS
from services.detector.performance.metrics.value import Metrics
from services.detector.signals.plan import SignalPlan
from services.detector.structs import FloatArray
from shared.durations import UNITS_MS
from shared.errors import Corrupt, Newer
from shared.events.alert import NotWatched, Unwatched
from shared.monitors import ModelSpec
from tests.kit.references import hours, loans, spec
from tests.kit.traffic import MODEL, SPEC, Log, fold_of, folded, heartbeats, rows

ROWS = 20_000


def binary_rows(rows: int = ROWS, seed: int = 3, *, spread: float = 1.0) -> pa.Table:
    """Return rows whose scores overstate: the chance of the positive class is the score's square root of odds."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0.0, 2.0 * spread, rows)
    label = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)
    score = np.round(1 / (1 + np.exp(-2 * logit)), 3)
    return pa.table(
        {
            "ts": hours(rows),
            "amount": rng.normal(0, 1, rows),
            "prediction": (score > 0.5).astype(int),
            "score_1": score,
            "label": label,
        }
    )


def class_rows(rows: int = ROWS, seed: int = 3) -> pa.Table:
    """Return rows of three classes with scores that are right."""
    rng = np.random.default_rng(seed)
    weights = np.exp(rng.normal(0, 1.5, (rows, 3)))
    chances = weights / weights.sum(axis=1, keepdims=True)
    drawn = (np.cumsum(chances, axis=1) < rng.random(rows)[:, None]).sum(axis=1)
    names = np.array(["a", "b", "c"])
    return pa.table(
        {
            "ts": hours(rows),
            "prediction": names[chances.argmax(axis=1)],
            **{f"score_{name}": chances[:, at] for at, name in enumerate(names)},
            "label": names[np.minimum(drawn, 2)],
        }
    )


def value_rows(rows: int = ROWS, seed: int = 3, *, noisy: float = 0.3) -> pa.Table:
    """Return rows of a regression whose errors are ten times as large in one region."""
    rng = np.random.default_rng(seed)
    region = np.where(rng.random(rows) < noisy, "wild", "calm")
    size = rng.normal(0, 1, rows)
    prediction = 10 * size
    error = np.where(region == "wild", 10.0, 1.0) * rng.normal(0, 1, rows)
    return pa.table(
        {"ts": hours(rows), "region": region, "size": size, "prediction": prediction, "label": prediction - error}
    )


def built(table: pa.Table, model: ModelSpec) -> Baseline:
    return build_baseline("m", model, table)


BINARY = spec()
CLASSES = ModelSpec(task="multiclass", reference="reference.parquet")
VALUES = ModelSpec(task="regression", reference="reference.parquet")


def batch(table: pa.Table, model: ModelSpec) -> pa.RecordBatch:
    """Return rows as a served block has them."""
    columns: dict[str, pa.Array] = {}
    for name in table.column_names:
        column = table.column(name).combine_chunks()
        if name in ("amount", "size"):
            columns[f"f:{name}"] = column
        elif name == "region":
            columns["f:region"] = column.dictionary_encode()
        elif name == "prediction":
            is_class = model.task != "regression"
            columns[name] = column.cast(pa.string()).dictionary_encode() if is_class else column
        elif name.startswith("score_"):
            columns["score" if model.task == "binary" else f"score:{name.removeprefix('score_')}"] = column
    return pa.RecordBatch.from_pydict(columns)


def estimated(reference: pa.Table, later: pa.Table, model: ModelSpec, *, cut: int | None = None) -> EstimateWatch:
    """Return a watch that has served rows as one cohort."""
    baseline = built(reference, model)
    watch, plan = EstimateWatch(baseline, [later.num_rows]), SignalPlan(baseline)
    rows = batch(later, model)
    for start in range(0, later.num_rows, cut or later.num_rows):
        part = rows.slice(start, cut or later.num_rows)
        watch.served(plan.served(part), np.zeros((part.num_rows, 1), np.int32))
    return watch


def found(watch: EstimateWatch, number: int = 0) -> Metrics:
    one = watch.estimated((0, number))
    assert one is not None
    return {name.removeprefix(PREFIX): value for name, value in one.metrics.items()}


def of(metrics_: Metrics, name: str) -> float:
    value = metrics_[name].value
    assert value is not None
    return value


def chances(reference: pa.Table, later: pa.Table) -> FloatArray:
    """Return what scikit-learn makes of the scores of rows."""
    isotonic = IsotonicRegression(out_of_bounds="clip")
    isotonic.fit(reference.column("score_1").to_numpy(), reference.column("label").to_numpy())
    given: FloatArray = isotonic.predict(later.column("score_1").to_numpy())
    return given


def test_binary_estimates_are_those_of_a_matrix_of_chances() -> None:
    table, later = binary_rows(), binary_rows(5_000, 4, spread=0.5)

    ours = found(estimated(table, later, BINARY))

    p, answer = chances(table, later), later.column("prediction").to_numpy()
    tp, fp, fn = p[answer == 1].sum(), (1 - p)[answer == 1].sum(), p[answer == 0].sum()
    assert of(ours, "accuracy") == pytest.approx(np.where(answer == 1, p, 1 - p).mean(), abs=1e-9)
    assert of(ours, "f1") == pytest.approx(2 * tp / (2 * tp + fp + fn), abs=1e-9)
    assert of(ours, "precision") == pytest.approx(tp / (tp + fp), abs=1e-9)
    both = np.concatenate([np.ones(5_000), np.zeros(5_000)])
    score = later.column("score_1").to_numpy()
    area = metrics.roc_auc_score(both, np.tile(score, 2), sample_weight=np.concatenate([p, 1 - p]))
    assert of(ours, "roc_auc") == pytest.approx(area, abs=1e-3)  # in bins


def test_binary_estimates_are_near_what_labels_say_where_only_inputs_move() -> None:
    table, later = binary_rows(), binary_rows(5_000, 4, spread=0.5)

    ours = found(estimated(table, later, BINARY))

    right = (later.column("prediction").to_numpy() == later.column("label").to_numpy()).mean()
    before = (table.column("prediction").to_numpy() == table.column("label").to_numpy()).mean()
    assert before - right > 0.05
    assert of(ours, "accuracy") == pytest.approx(right, abs=0.015)


def test_several_classes_estimates_are_near_what_labels_say() -> None:
    later = class_rows(5_000, 9)

    ours = found(estimated(class_rows(), later, CLASSES))

    label, answer = later.column("label").to_numpy(), later.column("prediction").to_numpy()
    assert of(ours, "accuracy") == pytest.approx((label == answer).mean(), abs=0.02)
    assert of(ours, "f1_macro") == pytest.approx(metrics.f1_score(label, answer, average="macro"), abs=0.02)
    scores = np.column_stack([later.column(f"score_{name}").to_numpy() for name in "abc"])
    area = metrics.roc_auc_score(label, scores, multi_class="ovr")
    assert of(ours, "roc_auc_macro") == pytest.approx(area, abs=0.02)


def test_a_regressions_losses_are_those_of_its_inputs() -> None:
    later = value_rows(5_000, 4, noisy=0.8)

    ours = found(estimated(value_rows(), later, VALUES))

    error = later.column("prediction").to_numpy() - later.column("label").to_numpy()
    assert of(ours, "mae") == pytest.approx(np.abs(error).mean(), rel=0.05)
    assert of(ours, "rmse") == pytest.approx(math.sqrt((error**2).mean()), rel=0.05)
    assert of(ours, "mse") == pytest.approx((error**2).mean(), rel=0.1)


@pytest.mark.parametrize(
    ("reference", "later", "model"),
    [
        (binary_rows(), binary_rows(3_000, 4), BINARY),
        (class_rows(), class_rows(3_000, 4), CLASSES),
        (value_rows(), value_rows(3_000, 4), VALUES),
    ],
    ids=["binary", "multiclass", "regression"],
)
def test_where_blocks_are_cut_changes_nothing(reference: pa.Table, later: pa.Table, model: ModelSpec) -> None:
    whole, cut = (estimated(reference, later, model, cut=cut) for cut in (None, 7))

    assert whole.books.snapshot() == cut.books.snapshot()


def test_a_state_continues_bit_for_bit() -> None:
    baseline, plan = built(binary_rows(), BINARY), None
    plan = SignalPlan(baseline)
    rows = batch(binary_rows(3_000, 4), BINARY)
    watch, other = EstimateWatch(baseline, [1_000]), EstimateWatch(baseline, [1_000])
    cells = np.zeros((1_500, 1), np.int32)

    watch.served(plan.served(rows.slice(0, 1_500)), cells)
    other.books.restore(watch.books.snapshot())
    closed = [each.served(plan.served(rows.slice(1_500)), cells) for each in (watch, other)]

    assert closed == [[(0, 1), (0, 2)]] * 2
    assert watch.books.snapshot() == other.books.snapshot()
    assert found(watch, 2) == found(other, 2)


def test_a_state_of_another_baseline_or_a_later_release_is_refused() -> None:
    watch = EstimateWatch(built(binary_rows(), BINARY), [1_000])
    other = EstimateWatch(built(value_rows(), VALUES), [1_000])

    with pytest.raises(Corrupt, match="another baseline"):
        watch.books.restore(other.books.snapshot())
    with pytest.raises((Corrupt, Newer)):
        watch.books.restore(b"driftline-state/9\n")


def test_only_the_newest_cohorts_are_kept() -> None:
    baseline = built(binary_rows(), BINARY)
    watch, plan = EstimateWatch(baseline, [1]), SignalPlan(baseline)
    rows = plan.served(batch(binary_rows(1_000, 4), BINARY))
    cells = np.zeros((1_000, 1), np.int32)

    for _ in range(MAX_COHORTS // 1_000 + 1):
        watch.served(rows, cells)

    assert watch.estimated((0, 999)) is None
    assert watch.estimated((0, 1_000)) is not None
    assert watch.books.newest == (0, MAX_COHORTS + 999)


def test_rows_without_scores_or_answers_are_left_out() -> None:
    later = binary_rows(1_000, 4)
    scores = later.column("score_1").to_pylist()
    later = later.set_column(3, "score_1", pa.array([None, *scores[1:]], pa.float64()))
    answers = later.column("prediction").to_pylist()
    later = later.set_column(2, "prediction", pa.array([answers[0], None, *answers[2:]], pa.int64()))

    row = estimated(binary_rows(), later, BINARY).row("m", "1", "all", (0, 0))

    assert row is not None
    assert (row.n_predicted, row.n_estimated) == (1_000, 998)


def test_a_model_that_should_be_worse_warns_before_any_label() -> None:
    table = binary_rows()
    same, worse = (
        estimated(table, binary_rows(2_000, 4, spread=spread), BINARY).row("m", "1", "all", (0, 0))
        for spread in (1.0, 0.4)
    )

    assert same is not None
    assert worse is not None
    assert not same.estimate_warning
    assert worse.estimate_warning


@pytest.mark.parametrize(
    ("table", "why"),
    [
        (binary_rows(400), "reference is thin (400 labels with scores or errors; needs 500)"),
        (binary_rows().drop_columns("score_1"), "the reference has no scores"),
        (value_rows(400), "reference is thin (400 labels with scores or errors; needs 500)"),
    ],
)
def test_a_reference_that_estimates_nothing_says_why(table: pa.Table, why: str) -> None:
    model = VALUES if "region" in table.column_names else BINARY
    baseline = built(table, model)

    assert baseline.estimates is not None
    assert baseline.estimates.reason == why
    watch = EstimateWatch(baseline, [10])
    assert watch.served(SignalPlan(baseline).served(batch(table, model)), np.zeros((table.num_rows, 1), np.int32)) == []
    assert watch.books.newest is None
    assert watch.why_not == why


def test_a_reference_without_labels_estimates_nothing() -> None:
    baseline = built(binary_rows().drop_columns("label"), BINARY)

    assert baseline.estimates is None
    assert EstimateWatch(baseline, [10]).why_not == "the reference has no predictions with labels"


def test_a_heartbeat_says_why_nothing_is_estimated() -> None:
    reference = loans().drop_columns(["score_0", "score_1"])
    log = Log(rows(600), Publication.of(MODEL, SPEC, build_baseline(MODEL, SPEC, reference)))
    log.serve(0, 300)
    log.tick(after_ms=UNITS_MS["m"])

    (beat, *_) = heartbeats(folded(fold_of(log.stamped), log.records))

    assert (
        NotWatched(kind=Unwatched.PERFORMANCE, what="estimates", why="the reference has no scores") in beat.not_watched
    )
