"""Named detectors on the reference itself: how often they would have spoken where nothing is wrong."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.cli.rehearsed import sentences
from services.detector.advisory import rehearsal
from services.detector.advisory.binding import bind_detectors
from services.detector.advisory.rehearsal import DetectorRehearsal, rehearse_detectors
from services.detector.baseline_build import build_baseline
from services.detector.reference_table import ReferenceTable
from shared.detectors import DetectorSpec, Plain
from tests.kit.references import loans, spec
from tests.kit.traffic import MODEL

MONTHS = 12_000 / (24 * 30)  # one row an hour


def watched(name: str, signal: str, **parameters: Plain) -> DetectorSpec:
    return DetectorSpec(name=name, signal=signal, parameters=parameters)


def rehearsed(table: pa.Table, *detectors: DetectorSpec) -> list[DetectorRehearsal]:
    chosen = msgspec.structs.replace(spec(), detectors=list(detectors))
    baseline = build_baseline(MODEL, chosen, table)
    reference = ReferenceTable(MODEL, chosen, table)
    return rehearse_detectors(bind_detectors(MODEL, chosen, baseline), baseline, reference)


def changed(table: pa.Table, name: str, at: int, value: float) -> pa.Table:
    """Return a table in which every second value of a column is another from a row on."""
    rows = np.arange(table.num_rows)
    values = np.where((rows >= at) & (rows % 2 == 0), value, table[name].to_numpy())
    return table.set_column(table.column_names.index(name), name, pa.array(values.astype(table[name].to_numpy().dtype)))


def test_a_steady_reference_keeps_a_strict_detector_quiet() -> None:
    (found,) = rehearsed(loans(), watched("adwin", "amount", delta=1e-6))

    assert found == DetectorRehearsal(
        detector="adwin(delta=1e-06) on amount", values=12_000, fired=0, incidents=0, fired_a_month=0.0
    )


def test_a_change_is_told_once_at_the_reference_s_pace() -> None:
    (found,) = rehearsed(changed(loans(), "amount", 6_000, 1e9), watched("adwin", "amount", delta=1e-6))

    assert (found.fired, found.incidents) == (1, 1)
    assert found.fired_a_month == pytest.approx(1 / MONTHS, rel=1e-3)


def test_errors_are_those_of_the_reference_s_labels() -> None:
    table = changed(loans(), "prediction", 6_000, 0.0)

    error, missed = rehearsed(table, watched("adwin", "error"), watched("adwin", "false_negative"))

    assert (error.values, missed.values) == (12_000, int(np.sum(table["label"].to_numpy() == 1)))
    assert (error.fired, error.incidents) == (1, 1)


def test_rows_are_tried_in_time_order_and_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    table, strict = changed(loans(), "amount", 6_000, 1e9), watched("adwin", "amount", delta=1e-6)
    shuffled = table.take(np.random.default_rng(3).permutation(table.num_rows))

    (in_time,) = rehearsed(shuffled, strict)
    monkeypatch.setattr(rehearsal, "ROWS", 5_000)
    (first,) = rehearsed(table, strict)

    assert (in_time.fired, in_time.values) == (1, 12_000)
    assert (first.fired, first.values) == (0, 5_000)


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (DetectorRehearsal(detector="adwin on amount", values=1), "never on the reference (1 value)"),
        (
            DetectorRehearsal(detector="adwin on amount", values=7_000, fired=3, incidents=2, fired_a_month=0.5),
            "0.5 a month; fired 3 times in 2 incidents on the reference (7,000 values)",
        ),
    ],
)
def test_what_a_detector_would_have_cost_is_one_line(found: DetectorRehearsal, text: str) -> None:
    assert list(sentences([found])) == [f"detector adwin on amount: {text}"]
