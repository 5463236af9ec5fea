"""Errors at their prices: of a cohort, and of a loss."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from services.cli.publication import fits
from services.detector.performance.costs import Prices
from services.detector.performance.metrics.costs import cost_of
from services.detector.performance.recent_labels import RecentLabels
from services.detector.performance.tally import Tally
from shared.cost import CostSpec
from shared.events.alert import LossCost
from tests.kit.references import HOUR_MS
from tests.kit.traffic import SPEC, Log, fold_of, folded, incidents, published_as, rows

PRICES = CostSpec(false_negative=40.0, false_positive=2.0)
SERIES = ["error", "false_negative", "false_positive", "signed_residual"]
Z95 = 1.959964


def test_the_cost_of_a_cohort_is_the_mean_over_its_labels_with_its_normal_interval() -> None:
    found = cost_of(PRICES, 3, 10, 100)

    each = np.array([40.0] * 3 + [2.0] * 10 + [0.0] * 87)
    half = Z95 * each.std() / 10
    assert found.value == each.mean() == 1.4
    assert [found.low, found.high] == pytest.approx([1.4 - half, 1.4 + half])
    assert cost_of(PRICES, 0, 0, 0).value is None


def test_only_priced_models_have_the_metric() -> None:
    counts = np.array([80, 7, 0, 3, 10, 0])
    priced = Tally("binary", ("0", "1"), 1, prices=PRICES)

    assert priced.metrics(counts, np.zeros(len(priced.sums)))["cost"] == cost_of(PRICES, 3, 7, 100)
    assert "cost" not in Tally("binary", ("0", "1"), 1).metrics(counts, np.zeros(len(priced.sums)))


def labels(count: int, misses: int, alarms: int, *, every_ms: int = HOUR_MS) -> RecentLabels:
    """Return labels of predictions in a row, the errors among them last."""
    flags = np.zeros((count, len(SERIES)))
    flags[count - misses :, 1] = 1.0
    flags[count - misses - alarms : count - misses, 2] = 1.0
    flags[count - misses - alarms :, 0] = 1.0
    recent, row = RecentLabels.of(len(SERIES)), np.arange(count)
    recent.topic_code("labels")
    nothing = np.zeros(count, np.int64)
    recent.append(flags, nothing, row, row * every_ms, nothing.astype(np.int32), nothing, nothing)
    return recent


def test_a_loss_costs_what_its_predictions_cost_more_than_the_reference_s_at_their_pace() -> None:
    recent = labels(1_000, 50, 50)

    found = Prices(PRICES, reference=1.0, reference_error=0.5).since(recent, 999, SERIES, 500)

    assert found is not None
    of_labels = cost_of(PRICES, 50, 50, 500)
    assert of_labels.error is not None
    assert (found.labels, found.false_negatives, found.false_positives) == (500, 50, 50)
    assert found.predictions_per_day == pytest.approx(24.0)
    assert found.per_day == pytest.approx((2_100 / 500 - 1.0) * 24.0)
    half = Z95 * math.hypot(of_labels.error, 0.5) * 24.0
    assert [found.low, found.high] == pytest.approx([found.per_day - half, found.per_day + half])


def test_predictions_of_one_moment_have_no_pace() -> None:
    assert Prices(PRICES, 1.0, 0.5).since(labels(100, 5, 5, every_ms=0), 99, SERIES, 0) is None


def told(cut: int) -> list[LossCost | None]:
    """Return the cost in each event of a model that errs four times as often as on its reference."""
    published = published_as(msgspec.structs.replace(SPEC, cost=PRICES))
    log = Log(rows(3_000, error_rate=0.4), published)
    log.serve(0, 3_000)
    log.label(0, 3_000, cut=cut)
    return [data.cost for _, data in incidents(folded(fold_of(published), log.records))]


def test_an_incident_of_performance_tells_its_cost() -> None:
    (first, *_) = told(2_000)

    assert first is not None
    assert 0.0 < first.low < first.per_day < first.high
    assert first.false_negatives + first.false_positives <= first.labels
    # Half of the errors of the reference, a tenth of its rows, are of each kind.
    assert first.reference == pytest.approx(0.1 * 21.0, rel=0.2)
    assert first.predictions_per_day == pytest.approx(24.0)


@pytest.mark.parametrize("cut", [97, 450])
def test_costs_do_not_depend_on_how_labels_are_cut(cut: int) -> None:
    assert told(cut) == told(2_000)


def test_prices_ask_for_no_other_baseline() -> None:
    assert fits(SPEC, msgspec.structs.replace(SPEC, cost=PRICES))
