"""A trailing reference: windows against the days before them, and the baseline beside it that goes on telling."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.cli.armed import report
from services.cli.publication import Publication
from services.detector import trailing_build
from services.detector.baseline import Baseline, decode
from services.detector.baseline_build import build_baseline
from services.detector.budget import Kind, shares
from services.detector.outlook.kinds import outlook
from services.detector.outlook.series import Series
from services.detector.partition import PartitionFold
from services.detector.report import ListSink, WindowRow
from shared.errors import ConfigurationError
from shared.events.alert import Culprit, Incident, IncidentEvent
from shared.monitors import AlertsSpec, ModelSpec
from shared.reference import ReferenceSpec
from tests.kit.references import loans, spec
from tests.kit.traffic import MODEL, START_MS, Log, fold_of, fold_options, folded, incidents, watch_of

PER_DAY = 3_000  # rows, which are three windows
DAY_MS = 86_400_000
FIRST = START_MS // DAY_MS * DAY_MS
OPENED = IncidentEvent.OPENED


def paced(table: pa.Table, start_ms: int = FIRST) -> pa.Table:
    """Return rows of which every day has as many."""
    ts = pa.array(start_ms + np.arange(table.num_rows) * (DAY_MS // PER_DAY), pa.timestamp("ms", tz="UTC"))
    return table.set_column(table.schema.get_field_index("ts"), "ts", ts)


def scaled(table: pa.Table, factors: np.ndarray) -> pa.Table:
    amount = table["amount"].to_numpy() * factors
    return table.set_column(table.schema.get_field_index("amount"), "amount", pa.array(amount))


def chosen(trailing: str | None = "4d", lag: str | None = "1d", **more: object) -> ModelSpec:
    reference = "r.parquet" if trailing is None else ReferenceSpec(file="r.parquet", trailing=trailing, lag=lag)
    return spec(alerts=AlertsSpec(false_pages_per_month=100.0), reference=reference, **more)


@cache
def published(trailing: str | None = "4d", lag: str | None = "1d") -> Publication:
    configured = chosen(trailing, lag)
    return Publication.of(MODEL, configured, build_baseline(MODEL, configured, paced(loans(30_000))))


class Days(Log):
    """A log at the pace of its table's `ts`."""

    def _columns(self, first: int, last: int) -> dict[str, pa.Array]:
        ts = self.table["ts"].slice(first, last - first).combine_chunks().cast(pa.int64())
        return super()._columns(first, last) | {"ts": ts}


def log_of(table: pa.Table, stamped: Publication, cut: int = 2_000) -> Days:
    log = Days(table, stamped)
    log.serve(0, table.num_rows, cut=cut)
    return log


def told(table: pa.Table, stamped: Publication, cut: int = 2_000) -> list[tuple[IncidentEvent, Incident]]:
    return incidents(folded(fold_of(stamped), log_of(table, stamped, cut).records))


def windows(table: pa.Table, stamped: Publication) -> list[WindowRow]:
    sink = ListSink()
    folded(fold_of(stamped, sink=sink), log_of(table, stamped).records)
    return [row for row in sink.windows if (row.signal, row.segment) == ("amount", "all")]


def culprit(fold: PartitionFold) -> Culprit | None:
    found = watch_of(fold)._incidents.open
    return None if found is None else found.culprits.get("amount\0all")


def stepping(days: int) -> pa.Table:
    """Return rows with ten times the amount from the sixth day on."""
    rows = days * PER_DAY
    return scaled(paced(loans(rows, seed=1)), np.where(np.arange(rows) < 5 * PER_DAY, 1.0, 10.0))


STEP = stepping(13)


def test_windows_compare_with_the_days_before_once_all_of_these_are_known() -> None:
    effects = [row.verdict_psi_debiased or 0.0 for row in windows(STEP, published())]
    frozen = [row.verdict_psi_debiased or 0.0 for row in windows(STEP, published(None))]

    # The first day that is whole is day 1: from day 6 on windows compare with four days before yesterday.
    known = 6 * 3
    assert effects[:known] == frozen[:known]
    assert all(ours != other for ours, other in zip(effects[known:], frozen[known:], strict=True))
    assert min(effects[known : known + 3]) > 0.3  # days 1 to 4 are of before
    assert max(effects[10 * 3 + 3 :]) < 0.05  # days 6 to 9, and later ones, have it all
    assert min(frozen[known:]) > 0.3


def test_distances_stay_those_from_the_baseline() -> None:
    ours, frozen = windows(STEP, published()), windows(STEP, published(None))

    assert [(row.psi, row.reference_counts) for row in ours] == [(row.psi, row.reference_counts) for row in frozen]


def test_a_culprit_says_which_reference_it_was_compared_with() -> None:
    stamped, fold = published(), fold_of(published())
    records = log_of(STEP, stamped, cut=500).records

    folded(fold, records[: 6 * 6])  # six blocks a day
    before = culprit(fold)
    folded(fold, records[6 * 6 : 7 * 6])
    after = culprit(fold)

    assert before is not None
    assert after is not None
    assert (before.detector, after.detector) == ("psi", "psi_trailing")
    column = decode(stamped.baseline).columns[0]
    assert [part.reference_count for part in before.bins] == column.counts[0].tolist()
    assert sum(part.reference_count for part in after.bins) == pytest.approx(4 * PER_DAY, abs=60)
    assert sum(part.contribution for part in after.bins) == pytest.approx(after.value + after.noise_floor, rel=0.05)


def test_a_slow_drift_hides_from_windows_and_the_reference_tells_it() -> None:
    rows = 30 * PER_DAY
    slow = scaled(paced(loans(rows, seed=1)), np.exp(np.arange(rows) / rows * 2.0))  # a deviation in a month

    effects = [row.verdict_psi_debiased or 0.0 for row in windows(slow, published())]
    found = told(slow, published())

    assert max(effects[6 * 3 :]) < 0.1
    assert (windows(slow, published(None))[-1].verdict_psi_debiased or 0.0) > 0.3
    assert any(event is OPENED for event, _ in found)


@pytest.mark.parametrize("cut", [37, 1_999])
def test_how_rows_are_cut_into_blocks_changes_nothing_but_ids(cut: int) -> None:
    def plain(found: list[tuple[IncidentEvent, Incident]]) -> list[tuple[IncidentEvent, Incident]]:
        return [(event, msgspec.structs.replace(data, incident_id="")) for event, data in found]

    table = STEP.slice(0, 8 * PER_DAY)

    assert plain(told(table, published(), cut)) == plain(told(table, published(), 2_000)) != []


def test_a_fold_goes_on_from_its_checkpoint_with_its_days() -> None:
    stamped = published()
    records = log_of(STEP, stamped).records
    whole, resumed = fold_of(stamped), fold_of(stamped)

    expected = folded(whole, records)
    found = folded(resumed, records[:11])
    fresh = fold_of(stamped)
    fresh.restore(resumed.snapshot())
    found += folded(fresh, records[11:])

    assert found == expected
    assert fresh.snapshot() == whole.snapshot()


def test_days_are_dropped_when_no_window_can_need_them() -> None:
    stamped, fold = published(), fold_of(published(), options=fold_options())
    folded(fold, log_of(STEP, stamped).records)

    ring = watch_of(fold).figures().rings["trailing_days"]

    assert (ring.entries, ring.limit) == (5, 5)


def test_a_long_silence_brings_the_baseline_back() -> None:
    table = paced(loans(8 * PER_DAY, seed=1))
    late = paced(loans(2 * PER_DAY, seed=2), FIRST + 40 * DAY_MS)
    rows = windows(pa.concat_tables([table, late]), published())
    frozen = windows(pa.concat_tables([table, late]), published(None))

    assert rows[22].verdict_psi != frozen[22].verdict_psi
    assert [row.verdict_psi for row in rows[25:]] == [row.verdict_psi for row in frozen[25:]]


def seasonal(days: int) -> pa.Table:
    """Return rows whose amount follows the year, of which these are the first days."""
    rows = days * PER_DAY
    return scaled(paced(loans(rows)), np.exp(2.0 * np.sin(np.arange(rows) / PER_DAY / 365 * 2 * np.pi)))


def test_a_season_is_unsteady_against_the_year_and_steady_against_the_days_before() -> None:
    configured = chosen("7d", None)

    baseline = build_baseline(MODEL, configured, seasonal(50))

    assert baseline.arming.why_not(0, 0).startswith("unsteady")
    assert baseline.trailing is not None
    assert baseline.trailing.arming.is_armed(0, 0)
    assert baseline.trailing.arming.peak[0, 0] < 0.1 < baseline.arming.peak[0, 0]


def test_what_moves_from_day_to_day_is_unsteady_against_both() -> None:
    rows = 30 * PER_DAY
    weekly = np.where(np.arange(rows) // PER_DAY % 7 < 2, 10.0, 1.0)
    baseline = build_baseline(MODEL, chosen("7d", "7d"), scaled(paced(loans(rows)), weekly))

    assert baseline.trailing is not None
    assert baseline.trailing.arming.why_not(0, 0).startswith("unsteady: its own windows differ by PSI up to ")
    assert baseline.trailing.arming.why_not(0, 0).endswith("from the days before")


def test_a_reference_that_is_too_short_to_tell_leaves_what_it_says_by_itself() -> None:
    baseline = build_baseline(MODEL, chosen("28d", "7d"), paced(loans(20_000)))

    assert baseline.trailing is not None
    assert baseline.trailing.arming.reason.tolist() == baseline.arming.reason.tolist()
    assert baseline.trailing.arming.phi.tolist() == baseline.arming.phi.tolist()


def test_more_days_than_a_checkpoint_should_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trailing_build, "MAX_BYTES", 10_000)

    with pytest.raises(ConfigurationError) as refused:
        build_baseline(MODEL, chosen("400d", None), paced(loans(6_000)))

    assert refused.value.path == "models.loans.reference.trailing"
    assert refused.value.message.endswith("at most 10,000: choose fewer days, columns or segments")


def foretold(table: pa.Table, trailing: str | None, **more: object) -> dict[str, list[Series]]:
    """Return the series of windows that are foretold, by what they are compared with."""
    baseline = build_baseline(MODEL, chosen(trailing, None, **more), table)
    series = outlook(Kind.WINDOWS, baseline, shares(2.0)).series
    return {
        detector: [one for one in series if one.detector == detector] for detector in {one.detector for one in series}
    }


def test_what_is_foretold_of_windows_holds_once_the_days_are_known() -> None:
    (frozen,), (recent,) = foretold(seasonal(50), None).values(), foretold(seasonal(50), "7d").values()

    assert frozen[0].why_not.startswith("unsteady")
    assert (recent[0].name, recent[0].detector, recent[0].why_not) == (frozen[0].name, "psi_trailing", "")
    assert recent[0].sight is not None


def test_more_days_find_smaller_shifts() -> None:
    steady = paced(loans(30_000))

    few, many = (foretold(steady, days)["psi_trailing"][0].sight for days in ("4d", "28d"))

    assert few is not None
    assert many is not None
    assert (few.psi or 0.0) > (many.psi or 0.0)


def test_cells_of_which_the_days_hold_too_little_are_foretold_by_the_reference() -> None:
    found = foretold(paced(loans(30_000)), "7d", segments=["channel"], events_per_week=12_000)

    assert {one.segment for one in found["psi_trailing"]} == {"all", "channel=branch", "channel=web"}
    assert {one.segment for one in found["psi"]} == {"channel=__other__"}


def warnings(baseline: Baseline) -> list[str]:
    return report(baseline).warnings


def test_the_choice_is_warned_of() -> None:
    (said,) = warnings(decode(published().baseline))

    assert said.startswith(
        "warning: windows compare with the 4 days before the last 1 once these are known, where a slow drift hides"
    )
    assert "6 of 6 columns may page so on all traffic" in said
    assert warnings(decode(published(None).baseline)) == []
