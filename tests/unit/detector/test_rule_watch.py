"""What rules tell of a model's traffic, and what they leave alone."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.cli.publication import Publication
from shared.errors import ConfigurationError
from shared.events.alert import Incident, IncidentEvent, IncidentKind, Severity
from shared.monitors import AlertsSpec
from shared.rules import RuleSpec
from shared.values import parse_ts
from tests.kit.references import HOUR_MS, loans
from tests.kit.traffic import SPEC, Log, fold_of, folded, incidents, names, published_as, rows, watch_of

OPENED, UPDATED, RESOLVED = IncidentEvent.OPENED, IncidentEvent.UPDATED, IncidentEvent.RESOLVED
RETRACTED = IncidentEvent.RETRACTED
MONDAY = 4  # of days since 1970, a Thursday


def ruled(*rules: str | RuleSpec) -> Publication:
    alerts = AlertsSpec(false_pages_per_month=100.0, rules=list(rules))
    return published_as(msgspec.structs.replace(SPEC, alerts=alerts))


def stepping(count: int, start: int, stop: int) -> pa.Table:
    """Return rows of which a stretch has ten times the amount."""
    table = rows(count)
    row = np.arange(count)
    amount = table["amount"].to_numpy() * np.where((row >= start) & (row < stop), 10.0, 1.0)
    return table.set_column(table.schema.get_field_index("amount"), "amount", pa.array(amount))


def told(
    table: pa.Table, *rules: str | RuleSpec, cut: int = 2_000, is_restored: bool = False
) -> list[tuple[IncidentEvent, Incident]]:
    """Return what is told of a table under rules, of calibrated incidents first; each fold begins anew if restored."""
    published = ruled(*rules)
    log = Log(table, published)
    log.serve(0, table.num_rows, cut=cut)
    fold, found = fold_of(published), []
    for record in log.records:
        found += folded(fold, [record])
        if is_restored:
            state, fold = fold.snapshot(), fold_of(published)
            fold.restore(state)
    return incidents(found)


def by_rules(found: list[tuple[IncidentEvent, Incident]]) -> list[tuple[IncidentEvent, Incident]]:
    return [(event, data) for event, data in found if data.culprits[0].detector == "rule"]


def nameless(found: list[tuple[IncidentEvent, Incident]]) -> list[tuple[IncidentEvent, Incident]]:
    """Return incidents without what names their configuration or their block."""
    return [(event, msgspec.structs.replace(data, incident_id="", configuration_hash="")) for event, data in found]


def test_a_rule_that_fires_is_an_incident_that_says_what_was_compared_with_what() -> None:
    found = told(stepping(8_000, 2_000, 3_000), RuleSpec(when="psi(amount) > 0.3", severity=Severity.CRITICAL))

    (opened, data), (resolved, last) = by_rules(found)
    (culprit,) = data.culprits
    assert (opened, resolved) == (OPENED, RESOLVED)
    assert (data.kind, data.severity) == (IncidentKind.DATA_DRIFT, Severity.CRITICAL)
    assert data.cause == "the rule psi(amount) > 0.3 fired: amount"
    assert (culprit.feature, culprit.segment, culprit.detector, culprit.statistic) == ("amount", "all", "rule", "psi")
    assert culprit.value > culprit.threshold == 0.3
    assert (culprit.window_rows, culprit.window_start_row, culprit.window_end_row) == (1_000, 2_000, 2_999)
    assert culprit.value == pytest.approx(sum(part.contribution for part in culprit.bins))
    assert (data.onset.row, data.detected.row, last.detected.row) == (2_000, 2_999, 2_999)
    assert data.by_chance_once_in == "unknown: a rule is not calibrated"
    assert data.blast_radius == {"all": 1.0}
    assert last.rows_affected == 4_000  # quiet after three windows: rows 2,000 to 5,999


RULES: list[str | RuleSpec] = [
    "psi(*) > 0.02",
    "ks_pvalue(*) < 0.001 for 2 windows",
    "mean(amount) > 2x reference",
    "psi(amount, channel=web) > 0.1",
    RuleSpec(when="psi(amount) > 0.05", every="700 events"),
    RuleSpec(when="psi(amount, channel=web) > 0.1", every="300 events"),
    RuleSpec(when="psi(amount) > 1", every="1d"),
    RuleSpec(when="psi(amount, channel=web) > 0.5", every="7d"),
    RuleSpec(expect="missing_rate(amount) <= 0.5"),
]


def test_what_is_calibrated_is_the_same_with_and_without_rules() -> None:
    table = stepping(6_000, 2_000, 4_000)

    found, without = told(table, *RULES), told(table)

    calibrated = [one for one in found if one not in by_rules(found)]
    assert len(without) > 0
    assert nameless(calibrated) == nameless(without)
    assert len({data.cause.partition(" fired")[0] for _, data in by_rules(found)}) == 8


@pytest.mark.parametrize("cut", [7, 333])
def test_how_rows_are_cut_into_blocks_changes_nothing_but_ids(cut: int) -> None:
    table = stepping(6_000, 2_000, 4_000)

    assert nameless(told(table, *RULES, cut=cut)) == nameless(told(table, *RULES))


def test_a_fold_goes_on_from_its_checkpoint_with_rules_and_their_windows() -> None:
    table = stepping(6_000, 2_000, 4_000)

    assert told(table, *RULES, cut=450, is_restored=True) == told(table, *RULES, cut=450)


def test_a_column_that_joins_updates_the_incident_of_its_rule() -> None:
    table = stepping(6_000, 2_000, 5_000)
    term = np.where(np.arange(6_000) < 3_000, table["term"].to_numpy(), 48)
    table = table.set_column(table.schema.get_field_index("term"), "term", pa.array(term))

    found = by_rules(told(table, "psi(*) > 0.3"))

    assert [(event, names(data.culprits), data.detected.row) for event, data in found] == [
        (OPENED, {"amount"}, 2_999),
        (UPDATED, {"amount", "term"}, 2_999),
    ]


def test_each_rule_has_an_incident_of_its_own() -> None:
    found = by_rules(told(stepping(3_000, 2_000, 3_000), "psi(amount) > 0.3", "ks_stat(amount) > 0.1"))

    assert [(event, data.culprits[0].statistic) for event, data in found] == [(OPENED, "psi"), (OPENED, "ks_stat")]
    assert len({data.incident_id for _, data in found}) == 2


def test_a_rule_of_a_segment_names_it_and_its_share() -> None:
    ((_, data),) = by_rules(told(stepping(3_000, 1_000, 3_000), "psi(amount, channel=web) > 0.3"))

    assert data.culprits[0].segment == "channel=web"
    assert data.culprits[0].window_rows == 500
    assert data.blast_radius == {"channel=web": pytest.approx(0.5, abs=0.05)}


def test_ranges_and_means_say_the_value_and_its_limit() -> None:
    table = stepping(4_000, 2_000, 4_000)
    amount, reference = table["amount"].to_numpy()[2_000:3_000], loans(seed=7)["amount"].to_numpy()
    largest = f"{float(table['amount'].to_numpy()[:2_000].max())}"

    found = by_rules(told(table, "mean(amount) > 1.2x reference", f"max(amount) <= {largest}", "min(amount) >= 0"))

    assert [
        (event, culprit.statistic, culprit.value, culprit.threshold, culprit.window_start_row)
        for event, data in found
        for culprit in data.culprits
    ] == [
        (OPENED, "mean", pytest.approx(amount.mean()), pytest.approx(1.2 * reference.mean()), 2_000),
        (OPENED, "max", amount.max(), float(largest), 2_000),
    ]


def test_a_small_p_value_is_a_strong_one() -> None:
    table = stepping(3_000, 2_000, 3_000)
    term = np.where(np.arange(3_000) < 2_000, table["term"].to_numpy(), 12)
    table = table.set_column(table.schema.get_field_index("term"), "term", pa.array(term))

    ((_, data),) = by_rules(told(table, "ks_pvalue(*) < 1e-9"))

    values = [culprit.value for culprit in data.culprits]
    assert values == sorted(values)
    assert [culprit.p_value for culprit in data.culprits] == values
    assert names(data.culprits) == {"amount", "term"}


def test_a_promise_that_is_broken_names_the_promise() -> None:
    table = rows(2_000)
    region = ["mars" if row % 5 == 0 else name for row, name in enumerate(table["region"].to_pylist())]
    table = table.set_column(table.schema.get_field_index("region"), "region", pa.array(region))

    ((_, data),) = by_rules(told(table, RuleSpec(expect="new_category_rate(region) <= 0.1", severity=Severity.INFO)))

    assert data.cause == "the rule expect new_category_rate(region) <= 0.1 fired: region"
    assert (data.culprits[0].value, data.culprits[0].noise_floor, data.culprits[0].bins) == (0.2, 0.0, [])
    assert "noise" not in data.summary


def test_answers_of_the_model_that_fire_a_rule_are_prediction_drift() -> None:
    ((_, data),) = by_rules(told(rows(1_000), "psi(prediction) > 0"))

    assert data.kinds == [IncidentKind.PREDICTION_DRIFT]


def test_another_configuration_takes_the_incidents_of_rules_back() -> None:
    table = rows(4_000)
    before, after = ruled("psi(amount) > 0"), ruled("psi(amount) > 9")
    log = Log(table, before)
    log.serve(0, 2_000)
    log.stamped, log.version = after, 2
    log.serve(2_000, 4_000)
    fold = fold_of(before, after)

    found = incidents(folded(fold, log.records))

    assert [event for event, _ in found] == [OPENED, RETRACTED]
    assert watch_of(fold).open_incidents() == []


def test_days_are_those_of_stream_time_and_weeks_begin_on_mondays() -> None:
    day = RuleSpec(when="psi(amount) > 0.5", every="1d")
    week = RuleSpec(when="psi(amount) > 0.5", every="7d")

    found = {
        data.cause: data for event, data in by_rules(told(stepping(2_000, 500, 1_500), day, week)) if event is OPENED
    }

    of_day, of_week = (found[f"the rule psi(amount) > 0.5 every {period} fired: amount"] for period in ("1d", "7d"))
    assert (of_day.culprits[0].window_rows, of_week.culprits[0].window_rows) == (24, 168)
    # Stream time is a median of 101 rows, an hour apart: a day ends some fifty rows after its last prediction.
    for one, hours in ((of_day, 24), (of_week, 168)):
        first, last = (parse_ts(place.ts) // HOUR_MS - 50 for place in (one.onset, one.detected))
        assert (last + 1 - first, first % 24) == (hours, 0)
    assert (parse_ts(of_week.onset.ts) // HOUR_MS - 50) // 24 % 7 == MONDAY


def test_a_day_that_was_not_seen_to_begin_is_no_window() -> None:
    found = by_rules(told(rows(200), RuleSpec(when="count(amount) < 1000", every="1d")))

    # Until it knows 101 rows, stream time goes at half their pace.
    assert [(event, data.culprits[0].value) for event, data in found] == [(OPENED, 48)]


def test_a_rule_that_fits_nothing_is_not_published() -> None:
    with pytest.raises(
        ConfigurationError, match=r"models\.loans\.alerts\.rules\.0: psi\(amont\) > 0.2: there is no column"
    ):
        ruled("psi(amont) > 0.2")
