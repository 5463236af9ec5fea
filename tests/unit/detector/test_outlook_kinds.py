"""What day windows, e-detectors and rare levels promise, and that every kind that runs is foretold."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.detector.baseline import Baseline
from services.detector.baseline_build import build_baseline
from services.detector.budget import PRESENT, Kind, shares
from services.detector.outlook.kinds import OUTLOOKS, outlook
from services.detector.outlook.series import Binds, Series
from tests.kit.references import spec

ROWS, A_MINUTE_MS = 50_000, 60_000
SPEC = spec(events_per_week=30_000)


@cache
def baseline() -> Baseline:
    """A month at a row a minute: an amount, a flag that is set twice in a thousand, and a fair coin."""
    rng = np.random.default_rng(85)
    table = pa.table(
        {
            "ts": pa.array(np.arange(ROWS) * A_MINUTE_MS, pa.timestamp("ms", tz="UTC")),
            "amount": rng.normal(size=ROWS),
            "fraud": np.where(rng.permutation(ROWS) < 100, "yes", "no"),
            "coin": rng.choice(["heads", "tails"], ROWS),
            "prediction": rng.integers(0, 2, ROWS),
        }
    )
    return build_baseline("m", SPEC, table)


def of_kind(kind: Kind, name: str, rows_per_week: float = 30_000.0) -> Series:
    known = msgspec.structs.replace(baseline(), rows_per_week=rows_per_week)
    (one,) = [one for one in outlook(kind, known, shares(2.0)).series if (one.name, one.segment) == (name, "all")]
    return one


def test_every_kind_that_runs_is_foretold() -> None:
    assert set(PRESENT) <= set(OUTLOOKS)


def test_a_fraud_rate_that_doubles_shows_in_thirty_thousand_events() -> None:
    fraud = of_kind(Kind.RARE_LEVELS, "fraud")

    assert fraud.sight is not None
    assert fraud.sight.reference_rate == pytest.approx(0.002, abs=0.0001)
    assert fraud.sight.rate == pytest.approx(0.004, abs=0.0007)


def test_a_column_without_rare_levels_says_so() -> None:
    coin = of_kind(Kind.RARE_LEVELS, "coin")

    assert (coin.why_not, coin.sight) == ("no level is rare", None)


def test_thirty_events_of_a_rare_level_must_come_in_a_week() -> None:
    fraud = of_kind(Kind.RARE_LEVELS, "fraud", rows_per_week=1_000.0)

    assert fraud.sight is not None
    assert (fraud.sight.rate or 0) >= 0.03


def test_an_e_detector_sees_less_the_more_it_is_given_down_to_its_gate() -> None:
    many, few = (of_kind(Kind.E_DETECTOR, "amount", rows) for rows in (3e6, 250.0))

    assert many.sight is not None
    assert few.sight is not None
    assert (many.sight.psi, many.binds) == (0.1, Binds.GATE)
    assert 0.1 < (few.sight.psi or 0) < 0.5
    assert few.sight.sd == pytest.approx((few.sight.psi or 0) ** 0.5, rel=0.1)


def test_three_days_see_half_of_what_a_window_sees_and_are_never_wrong_together() -> None:
    found = outlook(Kind.DAY_WINDOWS, baseline(), shares(2.0))
    coin = of_kind(Kind.DAY_WINDOWS, "coin")

    assert found.false_per_week < 1e-9
    assert coin.sight is not None
    assert coin.sight.psi == pytest.approx(0.06, abs=0.01)


def test_a_day_of_few_rows_is_no_window() -> None:
    coin = of_kind(Kind.DAY_WINDOWS, "coin", rows_per_week=2_100.0)

    assert (coin.sight, coin.why_blind) == (None, "a day brings 300 rows, 500 are needed")
