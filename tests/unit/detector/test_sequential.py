from __future__ import annotations

import numpy as np
import pytest

from services.detector.banks.adwin import AdwinBank
from services.detector.baseline_build import build_baseline
from services.detector.budget import shares
from services.detector.sequential import WARM_ROWS, adwin_bank, page_hinkley_bank, read_window
from services.detector.signals.plan import SignalPlan
from services.detector.state import save
from tests.kit.references import loans, served, spec

WEEK = shares(2.0)


def test_constants_follow_the_budget_of_all_series_together() -> None:
    one, five = (
        adwin_bank(1, WEEK.adwin, 1_156.0).snapshot()["delta"],
        adwin_bank(5, WEEK.adwin, 1_156.0).snapshot()["delta"],
    )
    threshold = page_hinkley_bank(np.zeros(5), WEEK.page_hinkley, 1_156.0).snapshot()["threshold"]

    assert isinstance(one, np.ndarray)
    assert isinstance(five, np.ndarray)
    assert isinstance(threshold, np.ndarray)
    assert one[0] == pytest.approx(5 * five[0])
    assert threshold.tolist() == pytest.approx([20.2] * 5, abs=3.0)


def test_adwin_starts_from_the_last_rows_of_the_reference() -> None:
    table = loans(6_000)
    baseline = build_baseline("loans", spec(), table)
    ranks = SignalPlan(baseline).served(served(f__amount=table["amount"].combine_chunks())).ranks[:, :1]
    expected = adwin_bank(3, WEEK.adwin, baseline.rows_per_week or 0.0)
    expected.update(np.repeat(ranks[-WARM_ROWS:], 3, axis=1))

    started = AdwinBank(np.array([1e-6]))
    started.seed(0, read_window(baseline.sequential[0].adwin_window))
    copied = AdwinBank(np.array([1e-6]))
    copied.seed(0, expected.window(0))

    assert save(started) == save(copied)


def test_a_thin_column_has_no_sequential_detector() -> None:
    found = build_baseline("loans", spec(), loans(4_999)).sequential

    assert {(s.page_hinkley, s.adwin, s.adwin_window) for s in found} == {
        ("reference is thin (4999 rows; needs 5000)", "reference is thin (4999 rows; needs 5000)", b"")
    }


def test_a_detector_says_nothing_of_a_drift_free_continuation() -> None:
    baseline = build_baseline("loans", spec(), loans(20_000))
    batch = loans(30_000, seed=99)
    signals = SignalPlan(baseline).served(
        served(f__amount=batch["amount"].combine_chunks(), f__term=batch["term"].combine_chunks())
    )
    means = np.array([baseline.columns[place].normal_mean for place in baseline.numeric])

    page_hinkley = page_hinkley_bank(means, WEEK.page_hinkley, 168.0)

    assert len(page_hinkley.update(signals.normal_scores)) == 0
    assert len(adwin_bank(3, WEEK.adwin, 168.0).update(signals.ranks)) == 0
