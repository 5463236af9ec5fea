"""What one row's scores or errors add to a cohort's sums.

In loops: numpy's vector logarithms give other bits on other processors.
"""

from __future__ import annotations

import math

from services.detector.banks.compiled import kernel
from services.detector.structs import FloatArray

SCORE_CLIP = 1e-6  # log_loss of a score at exactly 0 or 1 stays finite
BINS = 15  # equal parts of [0, 1] for the calibration error, as torchmetrics has them
COSTS = ("scored", "log_loss", "log_loss_squared", "brier", "brier_squared", *(f"calibration_{i}" for i in range(BINS)))


@kernel
def binary_costs(scores: FloatArray, is_positive: FloatArray, costs: FloatArray) -> None:
    """Fill [rows, COSTS] from the positive class's scores; a missing score costs nothing and is not counted."""
    for row in range(scores.shape[0]):
        score, truth = scores[row], is_positive[row]
        if math.isnan(score):
            continue
        clipped = min(max(score, SCORE_CLIP), 1.0 - SCORE_CLIP)
        loss = -math.log(clipped if truth == 1.0 else 1.0 - clipped)
        brier = (score - truth) ** 2
        costs[row, 0] = 1.0
        costs[row, 1], costs[row, 2] = loss, loss * loss
        costs[row, 3], costs[row, 4] = brier, brier * brier
        costs[row, 5 + min(max(int(score * BINS), 0), BINS - 1)] = score - truth


@kernel
def class_costs(scores: FloatArray, labels: FloatArray, costs: FloatArray) -> None:
    """Fill [rows, COSTS] from [rows, classes] of scores and codes of labels; Brier's score sums over the classes.

    Calibration is of the largest score: it should be right as often as it says.
    """
    for row in range(scores.shape[0]):
        label, best, brier, known = labels[row], 0, 0.0, not math.isnan(labels[row])
        for code in range(scores.shape[1]):
            score = scores[row, code]
            known = known and not math.isnan(score)
            brier += (score - (1.0 if code == label else 0.0)) ** 2
            if score > scores[row, best]:
                best = code
        if not known:
            continue
        loss = -math.log(min(max(scores[row, int(label)], SCORE_CLIP), 1.0 - SCORE_CLIP))
        confidence = scores[row, best]
        costs[row, 0] = 1.0
        costs[row, 1], costs[row, 2] = loss, loss * loss
        costs[row, 3], costs[row, 4] = brier, brier * brier
        costs[row, 5 + min(max(int(confidence * BINS), 0), BINS - 1)] = confidence - (1.0 if best == label else 0.0)


@kernel
def log_errors(labels: FloatArray, predictions: FloatArray, costs: FloatArray) -> None:
    """Fill [rows, 3]: the squared difference of log(1 + x), its square, and 1; 0 where one is -1 or less."""
    for row in range(labels.shape[0]):
        if labels[row] > -1.0 and predictions[row] > -1.0:
            square = (math.log1p(predictions[row]) - math.log1p(labels[row])) ** 2
            costs[row, 0], costs[row, 1], costs[row, 2] = square, square * square, 1.0
