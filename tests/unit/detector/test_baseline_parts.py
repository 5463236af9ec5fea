"""Parts of two baselines in one: what belongs to a column goes with it, everything else stays."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.detector.baseline import Arming, Baseline, ReferencePerformance
from services.detector.baseline_build import build_baseline
from services.detector.baseline_parts import keeping_performance, with_columns, with_performance
from tests.kit.references import loans, spec

SPEC = spec(segments=["channel"])
REPLACED = ["amount", "region"]


def with_gaps(table: pa.Table, share: float) -> pa.Table:
    """Return a table in which some amounts are missing."""
    amounts = table["amount"].to_numpy().copy()
    amounts[: round(share * len(amounts))] = np.nan
    return table.set_column(table.schema.get_field_index("amount"), "amount", pa.array(amounts))


@cache
def old() -> Baseline:
    return build_baseline("m", SPEC, loans())


@cache
def new(rows: int = 6_000) -> Baseline:
    """Return a baseline of fewer rows, too few for most cells, and with columns in another order."""
    table = with_gaps(loans(rows, seed=3, error_rate=0.3), 0.25)
    names = [name for name in table.column_names if name not in REPLACED]
    return build_baseline("m", SPEC, table.select([*names, *REPLACED]), cells_of=old())


def performance(baseline: Baseline) -> ReferencePerformance:
    assert baseline.performance is not None
    return baseline.performance


def place(baseline: Baseline, name: str) -> int:
    return [column.name for column in baseline.columns].index(name)


def reasons(baseline: Baseline, arming: Arming, name: str) -> list[str]:
    return [arming.why_not(place(baseline, name), cell) for cell in range(len(baseline.cells))]


@pytest.mark.parametrize("name", [column.name for column in old().columns])
def test_a_column_comes_with_its_bins_its_self_tests_and_its_sequential_detectors(name: str) -> None:
    mixed = with_columns(old(), new(), REPLACED)
    source = new() if name in REPLACED else old()
    here, there = place(mixed, name), place(source, name)

    assert mixed.columns[here].counts.tolist() == source.columns[there].counts.tolist()
    assert mixed.columns[here].edges.tolist() == source.columns[there].edges.tolist()
    for ours, theirs in ((mixed.arming, source.arming), (mixed.days, source.days)):
        assert reasons(mixed, ours, name) == reasons(source, theirs, name)
        assert ours.phi[here].tolist() == theirs.phi[there].tolist()
        assert ours.peak[here].tolist() == theirs.peak[there].tolist()
        assert ours.unsteady[here].tolist() == theirs.unsteady[there].tolist()
    for mine, others in ((mixed.sequential, source.sequential), (mixed.coded, source.coded)):
        found = [msgspec.structs.replace(one, column=there) for one in mine if one.column == here]
        assert found == [one for one in others if one.column == there]


def test_columns_stay_in_their_places() -> None:
    mixed = with_columns(old(), new(), REPLACED)

    assert [column.name for column in mixed.columns] == [column.name for column in old().columns]
    assert [one.column for one in mixed.sequential] == [one.column for one in old().sequential]


def test_what_is_no_columns_stays() -> None:
    mixed = with_columns(old(), new(), REPLACED)

    replaced = {"columns", "arming", "days", "sequential", "coded", "rows_per_week", "quality"}
    for name in set(Baseline.__struct_fields__) - replaced - {"cell_rows"}:
        assert getattr(mixed, name) == getattr(old(), name), name
    assert mixed.cell_rows.tolist() == old().cell_rows.tolist()
    assert mixed.rows_per_week == new().rows_per_week


def test_checks_of_columns_that_were_accepted_are_of_the_new_rows() -> None:
    mixed = with_columns(old(), new(), REPLACED).quality

    for source, is_new in ((old().quality, False), (new().quality, True)):
        theirs = [check for check in source.checks if (check.feature in REPLACED) is is_new]
        assert theirs
        assert all(check in mixed.checks for check in theirs)
    for name in REPLACED:
        assert mixed.high[place(old(), name)] == new().quality.high[place(new(), name)]
    assert len(mixed.checks) == len(old().quality.checks)


def test_what_is_missing_stays_the_same_share_of_the_rows() -> None:
    mixed = with_columns(old(), new(), REPLACED)

    missing, source = (one.columns[place(one, "amount")].missing for one in (mixed, new()))
    assert int(missing[0]) == 3_000
    assert missing / np.maximum(mixed.cell_rows, 1) == pytest.approx(source / np.maximum(new().cell_rows, 1), abs=1e-3)


def test_neither_baseline_is_changed() -> None:
    hashes = old().hash, new().hash

    with_columns(old(), new(), REPLACED)
    with_performance(old(), new())
    keeping_performance(old(), new())

    assert (old().hash, new().hash) == hashes


def test_a_performance_is_replaced_alone() -> None:
    mixed = with_performance(old(), new())
    kept = msgspec.structs.replace(
        mixed, performance=old().performance, estimates=old().estimates, rows_per_week=old().rows_per_week
    )

    assert performance(mixed).accuracy == performance(new()).accuracy
    assert mixed.estimates is new().estimates
    assert kept.hash == old().hash


def test_thresholds_of_a_performance_never_fall() -> None:
    monitors = performance(with_performance(old(), new())).monitors
    both = zip(performance(old()).monitors, performance(new()).monitors, strict=True)

    assert [m.threshold for m in monitors] == [max(before.threshold, after.threshold) for before, after in both]


@pytest.mark.parametrize(
    ("mixed", "source"), [(with_performance(old(), new()), new()), (keeping_performance(old(), new()), old())]
)
def test_labels_come_as_often_as_they_did(mixed: Baseline, source: Baseline) -> None:
    found, before = performance(mixed), performance(source)

    assert found.rows / mixed.rows == pytest.approx(performance(old()).rows / old().rows, abs=1e-3)
    shares = [monitor.rows / found.rows for monitor in found.monitors]
    assert shares == pytest.approx([monitor.rows / before.rows for monitor in before.monitors], abs=1e-3)


def test_a_performance_that_is_kept_is_that_of_the_reference() -> None:
    mixed = keeping_performance(old(), new())

    assert performance(mixed).accuracy == performance(old()).accuracy
    assert mixed.estimates is old().estimates
    assert msgspec.structs.replace(mixed, performance=new().performance, estimates=new().estimates).hash == new().hash


def test_where_the_reference_has_no_labels_there_is_no_performance_to_keep_or_to_give() -> None:
    unlabelled = msgspec.structs.replace(new(), performance=None)

    assert keeping_performance(unlabelled, new()).performance is None
    assert with_performance(unlabelled, new()).performance == new().performance
    with pytest.raises(ValueError, match="without labels"):
        with_performance(old(), unlabelled)
