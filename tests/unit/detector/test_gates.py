"""A column's own gate: what is too small to matter is told by no detector, and the reference is tested by it too."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.cli.publication import Publication
from services.detector.baseline import Baseline, decode
from services.detector.baseline_build import build_baseline
from services.detector.drift import DriftWatch
from services.detector.forecast import CellForecast, forecast
from services.detector.state import array, unpack
from shared.events.alert import Culprit, IncidentEvent
from shared.monitors import FeatureSpec, ModelSpec
from tests.kit.references import HOUR_MS, loans
from tests.kit.traffic import MODEL, SPEC, Log, fold_of, folded, incidents, watch_of

DAY_ROWS = 600
SHIFTS = ("page_hinkley", "adwin")


def gated(gate: float | None, feature: str = "amount") -> ModelSpec:
    return msgspec.structs.replace(SPEC, features={feature: FeatureSpec(gate=gate)})


def shifted(rows: int, at: int, factor: float) -> pa.Table:
    table = loans(rows, seed=1)
    amount = table["amount"].to_numpy() * np.where(np.arange(rows) < at, 1.0, factor)
    return table.set_column(table.schema.get_field_index("amount"), "amount", pa.array(amount))


def told(gate: float | None, table: pa.Table) -> tuple[list[Culprit], list[Culprit]]:
    """Return what opened incidents, and what windows have confirmed of the one that is open at the end."""
    chosen = gated(gate)
    published = Publication.of(MODEL, chosen, build_baseline(MODEL, chosen, loans()))
    log, fold = Log(table, published), fold_of(published)
    log.serve(0, table.num_rows)
    found = incidents(folded(fold, log.records))
    opened = [culprit for event, data in found if event is IncidentEvent.OPENED for culprit in data.culprits]
    kept = watch_of(fold)._incidents.open
    return opened, [] if kept is None else list(kept.culprits.values())


def cell(gate: float | None, segment: str = "all") -> CellForecast:
    chosen = msgspec.structs.replace(gated(gate), events_per_week=20_000, cycle="none")
    found = forecast(build_baseline(MODEL, chosen, loans()), chosen)
    return next(one for one in found.cells if (one.name, one.segment) == ("amount", segment))


# A factor of 2.7 moves the logarithms by half a standard deviation, which is PSI .24.
MODERATE = shifted(8_000, 2_000, 2.7)


def test_a_change_under_the_gate_of_its_column_is_told_by_no_detector() -> None:
    opened, confirmed = told(None, MODERATE)

    assert {culprit.feature for culprit in opened} == {"amount"}
    assert [(culprit.feature, culprit.threshold) for culprit in confirmed] == [("amount", 0.1)]
    assert told(1.0, MODERATE) == ([], [])


def test_a_change_over_it_is_told_with_the_gate_as_threshold() -> None:
    opened, confirmed = told(1.0, shifted(8_000, 2_000, 20.0))

    assert {culprit.feature for culprit in opened} == {"amount"}
    assert [(culprit.detector, culprit.threshold) for culprit in confirmed if culprit.segment == "all"] == [("psi", 1)]


def test_a_shift_of_the_mean_is_gated_in_proportion() -> None:
    chosen = gated(0.4)
    watch = DriftWatch(build_baseline(MODEL, chosen, loans()), chosen.alerts.false_pages_per_month)

    page_hinkley, adwin = (
        array(unpack(name, 2, state), "min_effect", np.float64).tolist()
        for name, state in zip(SHIFTS, watch.snapshot()[4:6], strict=True)
    )

    # A PSI four times the usual is a shift twice as large.
    assert page_hinkley == pytest.approx([0.64, 0.32, 0.32])  # amount, term, score
    assert adwin == pytest.approx([0.18, 0.09, 0.09])


def seasonal(rows: int = 12_000) -> pa.Table:
    """Return a reference whose terms lean to one side in one window of six."""
    table = loans(rows)
    term = np.where(np.arange(rows) // 1_000 % 6 == 5, 12, table["term"].to_numpy())
    mixed = np.where(np.arange(rows) % 3 == 0, term, table["term"].to_numpy())
    return table.set_column(table.schema.get_field_index("term"), "term", pa.array(mixed))


def unsteady(gate: float | None) -> Baseline:
    return build_baseline(MODEL, gated(gate, "term"), seasonal())


def test_the_reference_is_unsteady_by_the_gate_of_the_column() -> None:
    usual, wide = unsteady(None), unsteady(0.5)
    place = next(at for at, column in enumerate(usual.columns) if column.name == "term")

    assert usual.arming.why_not(place, 0).startswith("unsteady")
    assert not wide.arming.why_not(place, 0)
    assert wide.arming.peak[place, 0] == usual.arming.peak[place, 0]


def test_whole_days_are_gated_by_half_of_it() -> None:
    table = loans(12_000)
    ts = pa.array(np.arange(12_000) * (24 * HOUR_MS // DAY_ROWS), pa.timestamp("ms", tz="UTC"))
    chosen = gated(0.3)
    reference = table.set_column(table.schema.get_field_index("ts"), "ts", ts)

    baseline = build_baseline(MODEL, chosen, reference)

    assert {column.name: column.day_gate for column in baseline.columns if column.name in ("amount", "term")} == {
        "amount": 0.15,
        "term": 0.05,
    }
    assert decode(Publication.of(MODEL, chosen, baseline).baseline).columns[0].gate == 0.3


def test_what_is_foretold_of_a_column_names_its_gate_and_what_it_costs() -> None:
    usual, wide = cell(None), cell(0.4)

    assert (usual.gate, wide.gate, cell(0.4, "channel=web").gate) == (None, 0.4, 0.4)
    assert (usual.finds["page_hinkley"].sd, wide.finds["page_hinkley"].sd) == (0.32, 0.64)
    assert usual.finds["psi"].psi == pytest.approx(0.1, abs=0.005)
    assert wide.finds["psi"].psi == pytest.approx(0.4, abs=0.005)
    assert wide.finds["e_detector"].psi == 0.4
