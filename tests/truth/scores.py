"""Scores of a binary model and their labels: pages for nothing, and where they rank worse, or mean something else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa

from services.detector.performance.closed.reference import AUC, CALIBRATION
from services.detector.structs import FloatArray, IntArray
from shared.events.alert import Incident, IncidentKind
from shared.events.block import (
    LABEL,
    LABEL_TS,
    MAX_ROWS,
    PREDICTION,
    SCORE,
    SERVED_ROW,
    SERVED_SEQ,
    SRC_OFFSET,
    SRC_PARTITION,
    SRC_TOPIC,
    TS,
)
from shared.monitors import ModelSpec
from tests.truth.experiment import Experiment, Measured, repeated
from tests.truth.streams import DAY_MS, START_MS, levels
from tests.truth.watching import Prepared, Watched

RUNS = 5
PER_DAY, REFERENCE_DAYS, DAYS, CHANGE = 10_000, 10, 60, 10
NEAR = 3_000  # rows from the change to the onset that is told
LABELLED_AFTER_MS = DAY_MS // 24
SPEC = ModelSpec(task="binary", positive_class="1", reference="reference.parquet", label_horizon="1d")
LOSS = IncidentKind.PERFORMANCE_DEGRADATION

Truth = Callable[[np.random.Generator, FloatArray], IntArray]


def as_scored(rng: np.random.Generator, scores: FloatArray) -> IntArray:
    """Return labels that are positive as often as their scores say."""
    drawn: IntArray = (rng.random(len(scores)) < scores).astype(np.int64)
    return drawn


def too_sure(rng: np.random.Generator, scores: FloatArray) -> IntArray:
    """Return labels whose log odds are half of what their scores say: the model was never calibrated."""
    odds = np.sqrt(scores / (1.0 - scores))
    return as_scored(rng, odds / (1.0 + odds))


def blurred(rng: np.random.Generator, scores: FloatArray) -> IntArray:
    """Return labels that scores rank worse, while as many lie on either side of 1/2 and of the right one."""
    above = scores > 0.5
    means = np.where(above, scores[above].mean(), scores[~above].mean())
    return as_scored(rng, means)


def more(rng: np.random.Generator, scores: FloatArray) -> IntArray:
    """Return labels that are positive more often than scores say, by a fifth of the odds."""
    odds = 1.2 * scores / (1.0 - scores)
    return as_scored(rng, odds / (1.0 + odds))


@dataclass
class Fed:
    """A detector that is fed scores in the morning of each day, and their labels in the evening."""

    watched: Watched
    rng: np.random.Generator
    rows: int = 0

    def day(self, truth: Truth, scores: FloatArray, cut: int = MAX_ROWS) -> None:
        """Serve the predictions of a day, and label them; cut: rows of a block at most."""
        ts = START_MS + (self.rows + np.arange(len(scores))) * DAY_MS // PER_DAY
        labels = truth(self.rng, scores)
        for run in _cuts(np.arange(len(scores)), MAX_ROWS):
            told = []
            for part in _cuts(run, cut):
                columns = _columns(ts[part], scores[part], self.rows + part)
                seq = self.watched.serve(pa.RecordBatch.from_pydict(columns | {"f:amount": _amounts(part)}))
                columns |= {
                    LABEL_TS: pa.array(ts[part] + LABELLED_AFTER_MS),
                    LABEL: levels(labels[part], ("0", "1")),
                    SERVED_SEQ: pa.array(np.full(len(part), seq, np.int64)),
                    SERVED_ROW: pa.array(np.arange(len(part), dtype=np.int32)),
                }
                told.append(pa.RecordBatch.from_pydict(columns))
            for batch in told:
                self.watched.label(batch)
        self.rows += len(scores)

    @property
    def losses(self) -> list[Incident]:
        """Return the pages of a loss."""
        return [page for page in self.watched.pages if LOSS in page.kinds]


def _cuts(rows: IntArray, cut: int) -> Iterator[IntArray]:
    for start in range(0, len(rows), cut):
        yield rows[start : start + cut]


def _columns(ts: IntArray, scores: FloatArray, numbers: IntArray) -> dict[str, pa.Array]:
    return {
        TS: pa.array(ts),
        SRC_TOPIC: levels(np.zeros(len(ts), np.int64), ("predictions",)),
        SRC_PARTITION: pa.array(np.zeros(len(ts), np.int32)),
        SRC_OFFSET: pa.array(numbers),
        PREDICTION: levels((scores > 0.5).astype(np.int64), ("0", "1")),
        SCORE: pa.array(scores),
    }


def _amounts(rows: IntArray) -> FloatArray:
    found: FloatArray = np.random.default_rng(5).normal(0.0, 1.0, REFERENCE_DAYS * PER_DAY)[rows]
    return found


def scored(rng: np.random.Generator, rows: int, *, is_rare: bool = False) -> FloatArray:
    """Return scores; is_rare: of a positive class of two in a hundred."""
    found: FloatArray = rng.beta(0.3, 6.0, rows) if is_rare else rng.beta(0.8, 1.2, rows)
    return np.clip(found, 0.001, 0.999)


def prepared(seed: int, truth: Truth = as_scored, *, is_rare: bool = False) -> Prepared:
    """Return a model with a reference of ten days."""
    rng, rows = np.random.default_rng([seed, 21]), REFERENCE_DAYS * PER_DAY
    scores = scored(rng, rows, is_rare=is_rare)
    reference = {
        TS: pa.array(START_MS - np.arange(rows, 0, -1) * DAY_MS // PER_DAY, pa.timestamp("ms", tz="UTC")),
        PREDICTION: (scores > 0.5).astype(np.int64),
        SCORE: scores,
        LABEL: truth(rng, scores),
        "amount": _amounts(np.arange(rows)),
    }
    return Prepared(SPEC, pa.table(reference))


def fed(seed: int, truth: Truth = as_scored, *, is_rare: bool = False) -> Fed:
    """Return a detector that is fed nothing yet."""
    return Fed(prepared(seed, truth, is_rare=is_rare).watch(), np.random.default_rng([seed, 22]))


def quiet(truth: Truth, model: Literal["usual", "rare"], seed: int) -> int:
    """Return the pages by what closed cohorts say in two months without a loss; errors have a budget of their own."""
    is_rare = model == "rare"
    found = fed(seed, truth, is_rare=is_rare)
    for _ in range(DAYS):
        found.day(truth, scored(found.rng, PER_DAY, is_rare=is_rare))
    return sum(not {c.feature for c in page.culprits}.isdisjoint((AUC, CALIBRATION)) for page in found.losses)


def changed(truth: Truth, monitor: str, seed: int) -> tuple[int, bool]:
    """Return the pages of a loss where labels change after ten days, and whether the first is by a monitor."""
    found = fed(seed)
    for day in range(3 * CHANGE):
        found.day(truth if day >= CHANGE else as_scored, scored(found.rng, PER_DAY))
    pages = found.losses
    is_right = (
        bool(pages)
        and pages[0].culprits[0].feature == monitor
        and abs(pages[0].onset.row - CHANGE * PER_DAY) <= PER_DAY // 2
    )
    return len(pages), is_right


def _judge_quiet(pages: list[int], _: float) -> Measured:
    return Measured({"pages": sum(pages), "runs": len(pages)}, sum(pages) == 0)


def _judge_changed(found: list[tuple[int, bool]], _: float) -> Measured:
    pages, right = sum(count for count, _ in found), sum(is_right for _, is_right in found)
    return Measured({"pages": pages, "right": right, "runs": len(found)}, pages == right == len(found))


EXPERIMENTS = (
    Experiment(
        "scores-quiet",
        "two months of calibrated scores, ten thousand labels a day: no page by what closed cohorts say",
        repeated(quiet, RUNS, as_scored, "usual"),
        _judge_quiet,
    ),
    Experiment(
        "scores-rare",
        "the same, two positives in a hundred: none either",
        repeated(quiet, RUNS, as_scored, "rare"),
        _judge_quiet,
    ),
    Experiment(
        "scores-too-sure",
        "the same of a model that was never calibrated, its reference included: none either",
        repeated(quiet, RUNS, too_sure, "usual"),
        _judge_quiet,
    ),
    Experiment(
        "scores-blurred",
        "scores rank worse from a day on, as many are right as before: one page, by `roc_auc`, onset within half a day",
        repeated(changed, RUNS, blurred, AUC),
        _judge_changed,
    ),
    Experiment(
        "scores-shifted",
        "positive labels at a fifth higher odds than scores say: one page, by `calibration`, onset within half a day",
        repeated(changed, RUNS, more, CALIBRATION),
        _judge_changed,
    ),
)
