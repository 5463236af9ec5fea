"""What labels say of estimates: how far off they are, and when that is more than chance."""

from __future__ import annotations

import math

import numpy as np
import pytest

from services.detector.estimates.expected import PREFIX
from services.detector.estimates.judging import GAP, Estimated, compare, is_unreliable
from services.detector.estimates.reference import EstimateReference
from services.detector.performance.metrics.value import Value

REFERENCE = EstimateReference(rows=10_000, loss=0.1, spread=0.3)
EXPECTED = Estimated(1_000, 0.1, 0.01, {f"{PREFIX}accuracy": Value(0.9)})


def test_the_gap_is_what_labels_say_less_the_estimate_with_the_scatter_of_labels_about_their_chances() -> None:
    gaps = compare("binary", EXPECTED, REFERENCE, 1_000, {"accuracy": Value(0.88)})

    error = math.sqrt((0.09 - 0.01) / 1_000 + 0.09 / 10_000)
    gap = gaps[f"{GAP}accuracy"]
    assert gap.value == pytest.approx(-0.02)
    assert gap.high == pytest.approx(-0.02 + 1.959964 * error)


@pytest.mark.parametrize(
    ("said", "labels", "is_final", "unreliable"),
    [
        (0.88, 1_000, True, False),
        (0.85, 1_000, True, True),
        (0.85, 1_000, False, True),
        (0.5, 99, True, None),
        (0.5, 400, False, None),
        (0.5, 400, True, True),
    ],
)
def test_labels_contradict_estimates_four_standard_errors_away(
    said: float, labels: int, is_final: bool, unreliable: bool | None
) -> None:
    gaps = compare("binary", EXPECTED, REFERENCE, labels, {"accuracy": Value(said)})

    assert is_unreliable(gaps, labels / 1_000, labels, is_final=is_final) is unreliable


def test_right_chances_are_rarely_contradicted_and_gaps_scatter_as_their_errors_say() -> None:
    rng = np.random.default_rng(5)
    chance = rng.beta(8, 1, (400, 500))
    right = rng.random((400, 500)) < chance
    reference = EstimateReference(rows=10**9, loss=0.1, spread=0.3)
    standardised = []
    for p, y in zip(chance, right, strict=True):
        one = Estimated(500, 1 - p.mean(), float(p.var()), {f"{PREFIX}accuracy": Value(float(p.mean()))})
        gap = compare("binary", one, reference, 500, {"accuracy": Value(float(y.mean()))})[f"{GAP}accuracy"]
        assert gap.value is not None
        assert gap.high is not None
        standardised.append(gap.value / (gap.high - gap.value) * 1.959964)

    assert np.std(standardised) == pytest.approx(1.0, abs=0.1)
    assert np.mean(standardised) == pytest.approx(0.0, abs=0.15)
