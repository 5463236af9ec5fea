from __future__ import annotations

import numpy as np
import pyarrow as pa

from services.detector.baseline_build import build_baseline
from services.detector.cell_windows import CellWindows
from services.detector.judge import Judge
from services.detector.report import WindowRow
from services.detector.signals.plan import SignalPlan
from services.detector.window_rows import Span, WindowRows
from shared.events.block import FLAG_OUT_OF_RANGE
from shared.monitors import FeatureSpec, ModelSpec

SPEC = ModelSpec(task="regression", reference="r.csv", features={"age": FeatureSpec(min=0, max=80)})
REFERENCE = pa.table({"age": [*np.linspace(1, 79, 398), 200.0, None], "prediction": np.linspace(0, 1, 400)})


def closed(batch: pa.RecordBatch) -> dict[str, WindowRow]:
    baseline = build_baseline("m", SPEC, REFERENCE)
    windows = CellWindows.of(baseline, [batch.num_rows])
    signals = SignalPlan(baseline).served(batch)
    judged = Judge(baseline).judge(windows.update(signals))
    return {row.signal: row for row in WindowRows(baseline, "1").of(judged, 0, Span(0, batch.num_rows - 1))}


def test_values_that_the_consumer_flagged_out_of_range_are_counted_as_a_series_and_missing() -> None:
    flags = np.array([0, FLAG_OUT_OF_RANGE, FLAG_OUT_OF_RANGE, 0], np.uint8)
    batch = pa.record_batch({"f:age": [10.0, np.nan, np.nan, np.nan], "flags:age": flags, "prediction": [0.1] * 4})

    rows = closed(batch)

    assert rows["out_of_range:age"].counts == [1, 2]
    assert rows["out_of_range:age"].reference_counts == [398, 1]
    assert rows["age"].n_missing == 3


def test_values_out_of_range_in_an_older_block_count_the_same() -> None:
    batch = pa.record_batch({"f:age": [10.0, -1.0, 81.0, 80.0], "prediction": [0.1] * 4})

    rows = closed(batch)

    assert rows["out_of_range:age"].counts == [2, 2]
    assert rows["age"].n_missing == 2
