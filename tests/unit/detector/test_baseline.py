from __future__ import annotations

import numpy as np
import pytest

from services.detector.baseline import MAGIC, decode, encode, schema
from services.detector.baseline_build import build_baseline
from shared.errors import Corrupt
from tests.kit.references import loans, spec

BASELINE = build_baseline("loans", spec(segments=["channel"]), loans(3_000))


def test_a_baseline_reads_back_to_the_same_bytes() -> None:
    content = encode(BASELINE)

    again = decode(content)

    assert encode(again) == content
    assert again.hash == BASELINE.hash
    assert again.cells == ["all", "channel=branch", "channel=web", "channel=__other__"]
    np.testing.assert_array_equal(again.columns[0].grid_counts, BASELINE.columns[0].grid_counts)


def test_equal_references_give_equal_hashes_and_different_ones_do_not() -> None:
    assert build_baseline("loans", spec(segments=["channel"]), loans(3_000)).hash == BASELINE.hash
    assert build_baseline("loans", spec(segments=["channel"]), loans(3_000, seed=8)).hash != BASELINE.hash


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[:-9] + b"\0" + content[-8:], "checksum"),
        (lambda content: content[:40], "checksum"),
        (lambda content: b"driftline-baseline/9\n" + content[len(MAGIC) :], "this release reads"),
        (lambda _: b"", "begins with"),
    ],
    ids=["flipped", "cut", "newer", "empty"],
)
def test_bytes_that_are_not_whole_are_refused(damage: object, message: str) -> None:
    assert callable(damage)

    with pytest.raises(Corrupt, match=message):
        decode(damage(encode(BASELINE)))


def test_the_schema_names_features_classes_and_score_columns() -> None:
    found = schema(BASELINE)

    assert found.features == {
        "amount": "numeric",
        "term": "numeric",
        "region": "categorical",
        "repaid_before": "categorical",
    }
    assert (found.classes, found.scores) == (["0", "1"], ["score"])


def test_bins_are_named_for_people() -> None:
    columns = {column.name: column for column in BASELINE.columns}

    assert columns["region"].bin_names() == ["north", "south", "west"]
    assert columns["term"].bin_names() == ["(-inf, 12]", "(12, 24]", "(24, 36]", "(36, 48]", "(48, inf]"]


def test_a_cells_weekly_rows_are_its_share_of_the_reference() -> None:
    assert BASELINE.weekly_rows(0) == pytest.approx(168 * 3_000 / 2_999)
    assert sum(BASELINE.weekly_rows(cell) or 0.0 for cell in (1, 2, 3)) == pytest.approx(BASELINE.weekly_rows(0))
