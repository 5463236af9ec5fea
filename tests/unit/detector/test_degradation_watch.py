"""What rules about metrics tell of a model's traffic once its cohorts are final, and what they leave alone."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.cli.publication import Publication
from services.cli.rehearsed import sentences
from services.detector.baseline_build import build_baseline
from services.detector.degradation.rehearsal import rehearse_degradation
from services.detector.reference_table import ReferenceTable
from shared.degradation import DegradationSpec
from shared.events.alert import Incident, IncidentEvent, IncidentKind, Severity, Unwatched
from shared.monitors import AlertsSpec
from tests.kit.references import HOUR_MS, loans
from tests.kit.references import spec as spec_of
from tests.kit.traffic import SPEC, Log, fold_of, folded, incidents, published_as, rows, watch_of

OPENED, RESOLVED = IncidentEvent.OPENED, IncidentEvent.RESOLVED
HORIZON = 48  # hours; a row is served each hour
ROWS = 8_000
Told = list[tuple[IncidentEvent, Incident]]


def ruled(**rules: DegradationSpec) -> Publication:
    chosen = msgspec.structs.replace(
        SPEC, alerts=AlertsSpec(false_pages_per_month=0.01), label_horizon=f"{HORIZON}h", degradation=rules
    )
    return published_as(chosen)


def failing(start: int, stop: int) -> pa.Table:
    """Return rows of which a stretch has every label that is positive missed."""
    table = rows(ROWS, seed=3)
    row = np.arange(ROWS)
    label = table["label"].to_numpy()
    wrong = (row >= start) & (row < stop) & (label == 1)
    answer = np.where(wrong, 0, table["prediction"].to_numpy())
    return table.set_column(table.schema.get_field_index("prediction"), "prediction", pa.array(answer))


def told(table: pa.Table, published: Publication, *, cut: int = 500, is_restored: bool = False) -> Told:
    """Return what is told of rows whose labels come with the block after them."""
    log = Log(table, published)
    log.tick(after_ms=ROWS * HOUR_MS)  # log time is ahead: what is final is so by the predictions' own time
    for start in range(0, ROWS, 1_000):
        log.serve(start, start + 1_000, cut=cut)
        log.label(start, start + 1_000, cut=cut)
    fold, found = fold_of(published), []
    for record in log.records:
        found += folded(fold, [record])
        if is_restored:
            state, fold = fold.snapshot(), fold_of(published)
            fold.restore(state)
    return incidents(found)


def by_rules(found: Told) -> Told:
    return [(event, data) for event, data in found if data.culprits[0].detector == "rule"]


def nameless(found: Told) -> Told:
    return [(event, msgspec.structs.replace(data, incident_id="", configuration_hash="")) for event, data in found]


def test_a_rule_tells_of_the_cohort_that_is_worse_when_it_gets_no_more_labels() -> None:
    (opened, data), (resolved, last) = by_rules(
        told(failing(2_000, 3_000), ruled(recall=DegradationSpec(drop=0.2, severity=Severity.WARNING)))
    )

    (culprit,) = data.culprits
    assert (opened, resolved) == (OPENED, RESOLVED)
    assert (data.kinds, data.severity) == ([IncidentKind.PERFORMANCE_DEGRADATION], Severity.WARNING)
    assert data.cause == "the rule recall drop 0.2 fired: recall"
    assert (culprit.feature, culprit.statistic, culprit.segment) == ("recall", "recall", "all")
    assert culprit.value == 0.0 < culprit.threshold
    assert (data.onset.row, data.detected.row) == (2_000, 2_999 + HORIZON + 1)
    assert (culprit.window_rows, culprit.window_start_row) == (1_000, 2_000)
    assert data.by_chance_once_in == "unknown: a rule is not calibrated"
    assert data.blast_radius == {"all": 1.0}
    assert last.rows_affected == 4_000 + HORIZON + 1  # well after three cohorts, which end with row 5,999


RULES = {
    "recall": DegradationSpec(drop=0.2, segments=True),
    "f1": DegradationSpec(start=0.85, end=0.5),
    "fnr": DegradationSpec(above=0.9, lasts="2 cohorts"),
    "roc_auc": DegradationSpec(p_value=0.001),
    "log_loss": DegradationSpec(rise="50%"),
}


@pytest.mark.parametrize("cut", [77, 1_000])
def test_how_rows_are_cut_into_blocks_changes_nothing_but_ids(cut: int) -> None:
    table, published = failing(2_000, 4_000), ruled(**RULES)

    found = nameless(by_rules(told(table, published)))

    assert len(found) > 4
    assert nameless(by_rules(told(table, published, cut=cut))) == found


def test_a_fold_goes_on_from_its_checkpoint() -> None:
    table, published = failing(2_000, 4_000), ruled(**RULES)

    assert told(table, published, cut=450, is_restored=True) == told(table, published, cut=450)


def test_a_segment_says_from_which_of_the_model_s_rows_on_it_is_worse() -> None:
    found = by_rules(told(failing(2_000, 4_000), ruled(recall=DegradationSpec(drop=0.5, segments=True))))

    segments = {culprit.segment: culprit for _, data in found for culprit in data.culprits if culprit.segment != "all"}
    assert segments
    for culprit in segments.values():
        assert 1_500 <= culprit.window_start_row < 4_000
        assert 400 < culprit.window_rows <= 500


def test_what_is_calibrated_is_the_same_with_and_without_rules() -> None:
    table = failing(2_000, 4_000)

    found, without = told(table, ruled(**RULES)), told(table, ruled())

    assert len(without) > 0
    assert nameless([one for one in found if one not in by_rules(found)]) == nameless(without)


def test_without_labels_and_with_labels_too_late_to_be_joined_nothing_fires() -> None:
    published = ruled(**RULES)
    log = Log(failing(2_000, 4_000), published)
    log.tick(after_ms=ROWS * HOUR_MS)
    log.serve(0, ROWS)

    assert by_rules(incidents(folded(fold_of(published), log.records))) == []


def test_a_drop_of_accuracy_alone_waits_for_no_cohort_and_belongs_to_the_calibrated_incident() -> None:
    table = failing(2_000, 4_000)
    at_once = told(table, ruled(accuracy=DegradationSpec(drop=0.05)))
    patient = told(table, ruled(accuracy=DegradationSpec(drop=0.05, lasts="1 cohort", severity=Severity.WARNING)))

    assert "accuracy_drop" in {culprit.detector for _, data in at_once for culprit in data.culprits}
    assert by_rules(at_once) == []
    assert {data.cause for _, data in by_rules(patient)} == {"the rule accuracy drop 0.05 fired: accuracy"}


def test_the_state_of_a_rule_is_known_before_the_first_row() -> None:
    fold = fold_of(published := ruled(**RULES))
    log = Log(failing(2_000, 4_000), published)
    log.serve(0, 1)
    folded(fold, log.records)

    assert watch_of(fold).not_watched()[Unwatched.PERFORMANCE].keys().isdisjoint({"recall drop 0.2 in segments"})


def test_the_reference_tells_how_often_each_rule_would_have_fired() -> None:
    chosen = spec_of(
        segments=["channel"],
        degradation={
            "accuracy": DegradationSpec(drop=0.05),
            "f1": DegradationSpec(below=0.5),
            "recall": [DegradationSpec(below=0.95), DegradationSpec(below=0.95, lasts="2 cohorts", segments=True)],
        },
    )
    table = loans(6_000)
    baseline = build_baseline("loans", chosen, table)

    found = rehearse_degradation(chosen, baseline, ReferenceTable("loans", chosen, table))

    assert [(one.rule, one.looks_at, one.windows, one.met, one.fired, one.incidents) for one in found] == [
        ("accuracy drop 0.05", "look", 51, 0, 0, 0),
        ("f1 below 0.5", "cohort", 6, 0, 0, 0),
        ("recall below 0.95", "cohort", 6, 6, 1, 1),
        ("recall below 0.95 in segments for 2 cohorts", "cohort", 17, 17, 3, 1),
    ]
    assert list(sentences(found))[1] == "rule f1 below 0.5: never on the reference (met in 0 of 6 cohorts)"
