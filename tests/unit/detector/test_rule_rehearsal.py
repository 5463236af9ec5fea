"""Rules on the reference itself: how often they would have fired where nothing is wrong."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from services.cli.rehearsed import sentences
from services.detector.baseline_build import build_baseline
from services.detector.reference_table import ReferenceTable
from services.detector.rules.binding import bind
from services.detector.rules.rehearsal import Rehearsal, rehearse
from shared.events.alert import Severity
from shared.monitors import AlertsSpec, FeatureSpec, ModelSpec
from shared.rules import RuleSpec
from tests.kit.references import loans, spec

WEEKS = 10_000 / (24 * 7)  # one row an hour


def with_rules(*rules: str | RuleSpec) -> ModelSpec:
    return spec(segments=["channel"], features={"term": FeatureSpec(max=40)}, alerts=AlertsSpec(rules=list(rules)))


def rehearsed(table: pa.Table, *rules: str | RuleSpec) -> list[Rehearsal]:
    chosen = with_rules(*rules)
    baseline = build_baseline("loans", chosen, table)
    return rehearse(bind("loans", chosen, baseline), baseline, ReferenceTable("loans", chosen, table))


def stepping(table: pa.Table, start: int, stop: int) -> pa.Table:
    """Return a table in which a stretch of `amount` is a thousand times as large."""
    rows = np.arange(table.num_rows)
    amount = table["amount"].to_numpy() * np.where((rows >= start) & (rows < stop), 1_000.0, 1.0)
    return table.set_column(table.column_names.index("amount"), "amount", pa.array(amount))


def test_a_steady_reference_fires_no_wide_rule() -> None:
    (found,) = rehearsed(loans(10_000), "psi(*) > 0.2")

    assert found == Rehearsal(
        rule="psi(*) > 0.2", severity=Severity.WARNING, windows=40, met=0, fired=0, incidents=0, fired_a_month=0.0
    )


def test_a_stretch_fires_once_in_one_incident_at_the_reference_s_pace() -> None:
    found, patient = rehearsed(
        stepping(loans(10_000), 3_000, 5_000), "psi(amount) > 1", "psi(amount) > 1 for 3 windows"
    )

    assert (found.windows, found.met, found.fired, found.incidents) == (10, 2, 1, 1)
    assert found.fired_a_month == pytest.approx(30 / 7 / WEEKS, rel=1e-3)
    assert (patient.met, patient.fired) == (2, 0)


def test_windows_are_those_of_the_rule_s_segment_and_size() -> None:
    web = loans(10_000)["seg_channel"].to_pylist().count("web")
    long = RuleSpec(when="psi(amount) > 0.2", every="4000 events")

    found = rehearsed(loans(10_000), "psi(amount, channel=web) > 0.2", long)

    assert [one.windows for one in found] == [web // 500, 2]


def test_days_and_weeks_are_those_of_the_reference_s_times() -> None:
    day, week = (RuleSpec(when="psi(amount) > 9", every=every) for every in ("1d", "7d"))

    found = rehearsed(loans(10_000), day, week)

    # Stream time is two days behind: 414 days and 59 weeks have ended, of which the first was not seen to begin.
    assert [one.windows for one in found] == [413, 58]
    assert [one.windows for one in rehearsed(loans(10_000).drop_columns("ts"), day, week)] == [0, 0]


def test_values_outside_the_range_are_counted_as_they_came() -> None:
    (found,) = rehearsed(loans(10_000), "out_of_range_rate(term) > 0")

    assert (found.windows, found.met, found.fired) == (10, 10, 1)


def test_a_window_is_compared_with_the_rest_of_the_reference() -> None:
    table = stepping(loans(2_000), 0, 1_000)

    (found,) = rehearsed(table, RuleSpec(when="linf(amount) > 0.19"))

    assert found.met == 2  # half of the reference differs from the other half in every bin; from both together in less


def test_rows_are_taken_in_the_order_of_their_times() -> None:
    table = stepping(loans(10_000), 3_000, 5_000)
    shuffled = table.take(np.random.default_rng(0).permutation(10_000))

    assert rehearsed(shuffled, "psi(amount) > 0.2") == rehearsed(table, "psi(amount) > 0.2")


def test_without_times_there_is_no_pace() -> None:
    table = stepping(loans(10_000), 3_000, 5_000).drop_columns("ts")

    (found,) = rehearsed(table, "psi(amount) > 0.2")

    assert (found.fired, found.fired_a_month) == (1, None)


def rehearsal(**counts: float | None) -> Rehearsal:
    return Rehearsal(rule="ks_pvalue(*) < 0.05", severity=Severity.WARNING, **counts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (
            rehearsal(windows=2_400, met=310, fired=102, incidents=12, fired_a_month=34.2),
            "34 a month; fired 102 times in 12 incidents on the reference (met in 310 of 2,400 windows)",
        ),
        (
            rehearsal(windows=20, met=2, fired=2, incidents=1, fired_a_month=0.25),
            "0.25 a month; fired 2 times in 1 incident on the reference (met in 2 of 20 windows)",
        ),
        (rehearsal(windows=20, met=2, fired=2, incidents=2), "fired 2 times in 2 incidents on the reference"),
        (rehearsal(windows=20, met=1), "never on the reference (met in 1 of 20 windows)"),
        (rehearsal(), "the reference has no whole window to try it on"),
    ],
)
def test_what_a_person_is_told(found: Rehearsal, told: str) -> None:
    (line,) = sentences([found])

    assert line.startswith(f"rule ks_pvalue(*) < 0.05: {told}")
