"""`fairness.parquet`: each comparison with the counts that it follows from."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq

from services.cli.backtest.tables import write_fairness
from services.detector.fairness.metrics import Counts, fairness
from services.detector.report import FairnessRow, Group


def test_a_row_holds_its_groups_and_every_metric_with_its_interval(tmp_path: Path) -> None:
    counts = {"gender=f": Counts(60, 10, 12, 38), "gender=m": Counts(55, 25, 8, 32)}
    groups = {name: Group(500, 999, *one) for name, one in counts.items()}
    metrics = fairness(counts, 50)
    row = FairnessRow(
        model="loans", model_version="1", dimension="gender", served_row=900, groups=groups, metrics=metrics
    )

    write_fairness(tmp_path / "fairness.parquet", [row])

    (found,) = pq.read_table(tmp_path / "fairness.parquet").to_pylist()
    assert (found["dimension"], found["served_row"], found["groups"]) == ("gender", 900, ["gender=f", "gender=m"])
    assert (found["first_row"], found["tp"], found["fp"]) == ([500, 500], [38, 32], [10, 25])
    assert found["demographic_parity_ratio"] == metrics["demographic_parity_ratio"].value
    assert found["demographic_parity_difference_low"] == metrics["demographic_parity_difference"].low
    assert found["equal_opportunity_difference"] is None
    assert dict(found["notes"])["equal_opportunity_ratio"] == (
        "fewer than two groups have 50 labels of the positive class"
    )
