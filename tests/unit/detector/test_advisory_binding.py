"""Detectors by name: which there are, what they may watch, and what is refused with its path."""

from __future__ import annotations

import sys
from functools import cache

import msgspec
import numpy as np
import pytest

from services.detector import banks
from services.detector.advisory.binding import BoundDetector, Source, bind_detectors
from services.detector.baseline import Baseline
from services.detector.baseline_build import build_baseline
from shared.detectors import DetectorSpec, Plain
from shared.errors import ConfigurationError
from shared.events.alert import IncidentKind
from shared.monitors import ModelSpec
from tests.kit.references import hours, loans, spec

CONCEPT, DATA, ANSWERS = IncidentKind.CONCEPT_DRIFT, IncidentKind.DATA_DRIFT, IncidentKind.PREDICTION_DRIFT
REGRESSION = ModelSpec(task="regression", reference="reference.parquet")


@cache
def of_loans() -> Baseline:
    return build_baseline("loans", spec(), loans())


@cache
def of_prices() -> Baseline:
    rng = np.random.default_rng(5)
    price = rng.normal(100, 10, 6_000)
    table = loans(6_000).select(["amount"]).append_column("ts", hours(6_000))
    table = table.append_column("prediction", [price + rng.normal(0, 1, 6_000)]).append_column("label", [price])
    return build_baseline("prices", REGRESSION, table)


def bound(baseline: Baseline | None = None, form: str | None = None, **given: object) -> BoundDetector:
    chosen = msgspec.structs.replace(spec(), detectors=[msgspec.convert({**given, "as": form}, DetectorSpec)])
    (found,) = bind_detectors("loans", chosen, baseline or of_loans())
    return found


@pytest.mark.parametrize(
    ("name", "on", "source", "form", "kind"),
    [
        ("hddm_a", "error", Source.FLAG, None, CONCEPT),
        ("adwin", "false_negative", Source.FLAG, None, CONCEPT),
        ("river.drift.binary.DDM", "error", Source.FLAG, None, CONCEPT),
        ("river.drift.KSWIN", "false_positive", Source.FLAG, None, CONCEPT),
        ("hddm_a", "amount", Source.COLUMN, "rank", DATA),
        ("adwin", "amount", Source.COLUMN, "rank", DATA),
        ("page_hinkley", "amount", Source.COLUMN, "normal_score", DATA),
        ("river.drift.KSWIN", "score", Source.COLUMN, "normal_score", ANSWERS),
    ],
)
def test_a_detector_takes_flags_or_the_form_of_a_number_that_fits_it(
    name: str, on: str, source: Source, form: str | None, kind: IncidentKind
) -> None:
    found = bound(name=name, signal=on)

    assert (found.source, found.form, found.kind) == (source, form, kind)


def test_the_form_of_a_number_can_be_chosen() -> None:
    assert bound(name="river.drift.KSWIN", signal="amount", form="rank").statistic == "mean_rank"
    assert bound(name="adwin", signal="term", form="normal_score").statistic == "mean_normal_score"
    assert bound(name="hddm_a", signal="error").statistic == "rate"


def test_the_errors_of_a_regression_are_residuals_and_large_ones() -> None:
    residual, large = (bound(of_prices(), name="adwin", signal=on) for on in ("signed_residual", "abs_error_high"))

    assert (residual.source, residual.form, residual.kind) == (Source.RESIDUAL, "rank", CONCEPT)
    assert (large.source, large.statistic) == (Source.FLAG, "rate")
    assert large.reference == pytest.approx(0.1, abs=0.01)


def test_a_random_detector_gets_a_seed_so_that_a_replay_says_the_same() -> None:
    once, again, other = (
        bound(name="river.drift.KSWIN", signal="amount", parameters=parameters).named.make().snapshot()
        for parameters in ({}, {"seed": 1}, {"seed": 2})
    )

    assert once["parameters"] == again["parameters"] == {"seed": 1}
    assert other["parameters"] == {"seed": 2}


def refused(baseline: Baseline | None = None, form: str | None = None, **given: object) -> str:
    with pytest.raises(ConfigurationError) as found:
        bound(baseline, form, **given)
    return str(found.value).removeprefix("models.loans.detectors.0.")


@pytest.mark.parametrize(
    ("name", "on", "message"),
    [
        (
            "hddm_a",
            "amont",
            "signal: there is no 'amont' to watch, only error, false_negative, false_positive, amount, ",
        ),
        ("hddm_a", "region", "signal: region holds categories; a named detector watches a number or errors"),
        ("river.drift.binary.DDM", "amount", "signal: river.drift.binary.DDM watches errors, and amount is a number"),
        ("river.drift.KSWINN", "amount", "name: river has no detector river.drift.KSWINN; there are river.drift."),
        ("river.drift.DDM", "error", "name: river has no detector river.drift.DDM; there are river.drift."),
        ("river.drift.ADWIN", "amount", "name: ADWIN: river keeps its state in compiled code, which gives none; `adwi"),
    ],
)
def test_what_does_not_exist_or_fit_is_refused(name: str, on: str, message: str) -> None:
    assert refused(name=name, signal=on).startswith(message)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("hddm_a", {"delta": 0.1}, "hddm_a has no parameter 'delta': there are drift_confidence, two_sided_test"),
        ("hddm_a", {"drift_confidence": 2.0}, "drift_confidence is between 0 and 1"),
        ("hddm_a", {"two_sided_test": 1}, "hddm_a.two_sided_test is bool, not 1"),
        ("adwin", {"delta": 0}, "adwin.delta is between 0 and 1, not 0"),
        ("page_hinkley", {"min_instances": 1.5}, "page_hinkley.min_instances is int, not 1.5"),
        ("page_hinkley", {"alpha": 1.5}, "page_hinkley wants min_instances of 1 or more, threshold above 0, alpha abo"),
        ("river.drift.KSWIN", {"size": 3}, "KSWIN has no parameter 'size': there are alpha, window_size, stat_size, s"),
        ("river.drift.KSWIN", {"alpha": 3.0}, "KSWIN does not work with {'seed': 1, 'alpha': 3.0}: "),
    ],
)
def test_parameters_that_do_not_work_are_refused(name: str, parameters: dict[str, Plain], message: str) -> None:
    assert refused(name=name, signal="error", parameters=parameters).startswith(f"parameters: {message}")


def test_forms_that_mean_nothing_are_refused() -> None:
    assert refused(name="hddm_a", signal="error", form="rank") == "as: error is an error or none: it has no rank"
    assert refused(name="hddm_a", signal="amount", form="normal_score").startswith("as: hddm_a takes values between")


def test_a_reference_without_labels_has_no_errors_to_watch() -> None:
    without = build_baseline("loans", spec(), loans().drop_columns(["label"]))

    assert refused(baseline=without, name="hddm_a", signal="error").endswith(
        "the reference has no predictions with labels, so there are no errors to watch"
    )


def test_without_river_its_detectors_are_refused_and_ours_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(banks, "river_objects", raising=False)
    monkeypatch.delitem(sys.modules, "services.detector.banks.river_objects", raising=False)
    monkeypatch.setitem(sys.modules, "river", None)

    assert refused(name="river.drift.KSWIN", signal="amount") == (
        "name: river.drift.KSWIN needs river, which is not installed: pip install 'driftline[river]'"
    )
    assert bound(name="hddm_a", signal="error").source is Source.FLAG
