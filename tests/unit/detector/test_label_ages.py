"""What the age of a label says of errors, and a reference that tells ages."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.detector.baseline import Baseline, decode, encode
from services.detector.baseline_build import build_baseline
from services.detector.baseline_parts import keeping_performance, with_performance
from services.detector.performance.label_ages import MIN_LABELS, Buckets, odds_ratio, tilted
from services.detector.performance.monitors import hear
from services.detector.statistics.proportions import standard_error
from services.detector.structs import FloatArray
from shared.errors import ConfigurationError
from tests.kit.references import hours, spec
from tests.truth.late_labels import Traffic
from tests.truth.streams import DAY_MS


def bernoulli(rate: float) -> float:
    return rate * (1.0 - rate)


def late(rows: int = 20_000, *, early_rate: float = 0.3, late_rate: float = 0.05) -> tuple[FloatArray, Buckets]:
    """Return errors of labels of which one in five comes within a day, the others after a month."""
    rng = np.random.default_rng(3)
    early = rng.random(rows) < 0.2
    ages = np.where(early, rng.integers(1, DAY_MS, rows), 30 * DAY_MS)
    flags = (rng.random(rows) < np.where(early, early_rate, late_rate)).astype(np.float64)
    return flags, Buckets.of_ages(ages, early.astype(np.int64))


def test_labels_that_come_soon_and_labels_that_come_late_have_buckets_of_their_own() -> None:
    _, buckets = late()

    assert max(edge for edge in buckets.edges_ms if edge < 30 * DAY_MS) > 0.98 * DAY_MS
    assert np.bincount(buckets.of_label).min() >= MIN_LABELS


def test_ages_that_are_all_the_same_have_one_bucket() -> None:
    assert Buckets.of_ages(np.full(5_000, DAY_MS), np.zeros(5_000, np.int64)).edges_ms == []


def test_rates_are_told_apart_where_they_differ_and_only_there() -> None:
    flags, buckets = late()
    rates = buckets.upper_rates(flags, standard_error)

    assert rates is not None
    is_early = np.array([*buckets.edges_ms, 31 * DAY_MS]) <= DAY_MS
    assert set(np.round(rates[is_early], 1)) == {0.3}
    assert rates[-1] == pytest.approx(0.05, abs=0.01)
    alike, same = late(early_rate=0.1, late_rate=0.1)
    assert same.means(alike, bernoulli) is None


def test_a_bucket_without_any_value_goes_with_its_neighbours() -> None:
    flags, buckets = late()
    flags[buckets.of_label == 2] = np.nan

    means = buckets.means(flags, bernoulli)

    assert means is not None
    assert means[2] in (means[1], means[3])


def test_tilted_rates_have_odds_so_many_times_as_large() -> None:
    assert tilted([0.5, 0.2], 4.0) == pytest.approx([0.8, 0.5])
    assert [odds_ratio(after, 0.2) for after in tilted([0.2], 3.0)] == pytest.approx([3.0])
    assert tilted([1e-6], 0.001) == [1e-6]


def baseline(*, timed: bool = True, seed: int = 4) -> Baseline:
    traffic = Traffic.simulated(np.random.default_rng(seed), -20, 20)
    return build_baseline("m", spec(), traffic.reference(timed=timed))


def test_a_reference_that_says_when_labels_came_gives_each_age_its_own_p0() -> None:
    found = baseline()
    assert found.performance is not None
    assert found.label_ages is not None
    known, cleared = found.label_ages.place(np.array([5 * DAY_MS, 30 * DAY_MS])).tolist()

    error, missed, alarmed = np.array(found.label_ages.p0).T.tolist()
    assert error[known] == pytest.approx(0.42, abs=0.06)
    assert error[cleared] == pytest.approx(0.006, abs=0.002)
    assert missed[known] == pytest.approx(0.42, abs=0.06)
    assert set(alarmed) == {found.performance.monitors[2].p0}  # its labels are of one age
    assert decode(encode(found)).label_ages == found.label_ages


def test_without_label_times_nothing_depends_on_ages() -> None:
    assert baseline(timed=False).label_ages is None


def test_residuals_are_heard_without_what_their_age_tells() -> None:
    rng, rows = np.random.default_rng(6), 6_000
    slow = np.arange(rows) % 2 == 1
    label = 100 + rng.normal(0.0, 10.0, rows) + np.where(slow, 8.0, -8.0)
    times = np.arange(rows) * 3_600_000
    table = pa.table(
        {
            "ts": hours(rows),
            "label_ts": pa.array(times + np.where(slow, 2 * DAY_MS, DAY_MS), pa.timestamp("ms", tz="UTC")),
            "prediction": np.full(rows, 100.0),
            "label": label,
        }
    )

    ages = build_baseline("m", spec(task="regression", positive_class=None), table).label_ages

    assert ages is not None
    heard = hear(ages, np.zeros((2, 1)), np.zeros(2), ages.place(np.array([DAY_MS, 2 * DAY_MS])))
    assert heard.residuals.tolist() == [-shift for shift in ages.residual_shifts]
    assert heard.residuals[0] < -0.3 < 0.3 < heard.residuals[1]


def test_a_labelled_row_without_its_time_is_refused() -> None:
    table = Traffic.simulated(np.random.default_rng(4), -5, 5).reference(timed=True)
    times = table["label_ts"].to_pylist()
    broken = table.set_column(1, "label_ts", pa.array([None, *times[1:]], table["label_ts"].type))

    with pytest.raises(ConfigurationError, match=r"models\.m\.reference: column 'label_ts' has 1 rows with a label"):
        build_baseline("m", spec(), broken)


def test_an_accepted_baseline_has_the_ages_of_the_performance_that_it_keeps() -> None:
    old, new = baseline(), baseline(seed=5)

    assert with_performance(old, new).label_ages == new.label_ages
    assert keeping_performance(old, new).label_ages == old.label_ages
