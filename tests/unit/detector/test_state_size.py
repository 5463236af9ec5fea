"""The bytes that are foretold, against those that a watch has come to."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.cli.publication import Publication
from services.detector.baseline_build import build_baseline
from services.detector.reference_table import ReferenceTable
from services.detector.state_size import StateSize, state_size
from shared.monitors import ModelSpec
from tests.kit.references import loans
from tests.kit.traffic import MODEL, SPEC, Log, fold_of, folded, rows, watch_of

ROWS = 12_000


def foretold(chosen: ModelSpec, table: pa.Table) -> StateSize:
    return state_size(build_baseline(MODEL, chosen, table), chosen, ReferenceTable(MODEL, chosen, table))


@pytest.mark.parametrize("segments", [[], ["channel"]], ids=["all traffic", "segments"])
def test_the_bytes_are_those_of_a_watch_at_work(segments: list[str]) -> None:
    chosen = msgspec.structs.replace(SPEC, segments=segments)
    published = Publication.of(MODEL, chosen, build_baseline(MODEL, chosen, loans(ROWS)))
    log, fold = Log(rows(ROWS), published), fold_of(published)
    log.serve(0, ROWS)

    folded(fold, log.records)

    assert foretold(chosen, loans(ROWS)).bytes == pytest.approx(len(watch_of(fold).snapshot()), rel=0.05)


def test_what_calibrates_is_told_with_what_its_week_gathers() -> None:
    tested = loans(ROWS)
    untested = tested.take(np.random.default_rng(3).permutation(ROWS))

    assert foretold(SPEC, untested).bytes > foretold(SPEC, tested).bytes + 50_000


def test_a_series_is_a_column_of_a_cell() -> None:
    found, alone = (
        foretold(msgspec.structs.replace(SPEC, segments=segments), loans(ROWS)) for segments in (["channel"], [])
    )

    assert (found.series, alone.series) == (6 * 4, 6)
    assert 200 < found.bytes_per_series < alone.bytes_per_series < 3_584
    assert found.bytes_per_series * found.series < found.bytes
