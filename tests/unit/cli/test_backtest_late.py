"""Labels beyond the horizon, counted in the cohort of their prediction."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import pyarrow as pa
import pytest

from services.cli.backtest.late import CohortKey, late_labels
from services.cli.backtest.lines import Line
from shared.events.block import NO_STAMP, Block, BlockKind, Chain, encode
from shared.identity import IdKey
from shared.log import Record

KEY = IdKey(b"test")
HORIZON_MS = 1_000
COHORT = 2  # rows


def served(*predictions: tuple[str, int], version: str = "v1", kind: BlockKind = BlockKind.SERVED) -> Record:
    """Return a block of predictions as (request id, ts)."""
    batch = pa.RecordBatch.from_pydict(
        {
            "id": pa.array([KEY.request("m", name) for name, _ in predictions], pa.binary(16)),
            "ts": [ts for _, ts in predictions],
        }
    )
    value, headers = encode(Block(kind, "m", version, NO_STAMP, batch, Chain(0, 1, -1)))
    return Record("observations", 0, 0, 0, None, value, headers)


def label(name: str, ts_ms: int, *, model: str = "m") -> Line:
    return Line(ts_ms, True, 0, msgspec.json.encode({"request_id": name, "model": model}))


def cells(block: Block) -> list[list[tuple[str, int]]]:
    """Return that all rows are on all traffic, in cohorts of two."""
    assert (block.model, block.model_version[0]) == ("m", "v")
    return [[("all", COHORT)] for _ in range(block.rows)]


def late(records: Sequence[Record], *lines: Line) -> Counter[CohortKey]:
    return late_labels(records, lines, {"m": HORIZON_MS}, KEY, cells)


def test_a_label_at_the_horizon_is_in_time_and_one_after_it_is_late() -> None:
    predictions = served(("a", 100), ("b", 100))

    assert late([predictions], label("a", 1_100), label("b", 1_101)) == {("m", "v1", "all", 0): 1}


def test_late_labels_are_counted_by_cohort() -> None:
    records = [served(("a", 0), ("b", 0), ("c", 0)), served(("d", 0), ("e", 0))]

    found = late(records, *(label(name, 5_000) for name in "bcde"))

    assert found == {("m", "v1", "all", 0): 1, ("m", "v1", "all", 2): 2, ("m", "v1", "all", 4): 1}


def test_every_version_that_predicted_misses_its_label() -> None:
    records = [served(("a", 0)), served(("a", 4_500), version="v2"), served(("a", 0), version="v3")]

    assert late(records, label("a", 5_000)) == {("m", "v1", "all", 0): 1, ("m", "v3", "all", 0): 1}


def test_segments_have_cohorts_of_their_own() -> None:
    def members(block: Block) -> list[list[tuple[str, int]]]:
        return [[("all", 2), (f"side={row % 2}", 1)] for row in range(block.rows)]

    records = [served(("a", 0), ("b", 0), ("c", 0))]
    found = late_labels(records, [label("c", 5_000)], {"m": HORIZON_MS}, KEY, members)

    assert found == {("m", "v1", "all", 2): 1, ("m", "v1", "side=0", 1): 1}


@pytest.mark.parametrize(("first", "found"), [(500, 0), (4_000, 1)], ids=["in time", "late"])
def test_the_first_label_of_a_prediction_decides(first: int, found: int) -> None:
    assert late([served(("a", 0))], label("a", first), label("a", 5_000)).total() == found


@pytest.mark.parametrize(
    "line",
    [
        label("nobody", 5_000),
        label("a", 5_000, model="another"),
        Line(5_000, False, 0, label("a", 5_000).value),
        Line(5_000, True, 0, b"{"),
        Line(5_000, True, 0, b"\xff"),
        Line(5_000, True, 0, b'{"request_id":5,"model":"m"}'),
        Line(5_000, True, 0, b"[" * 100_000),
    ],
    ids=["no prediction", "another model", "a prediction", "no json", "no text", "no id", "too deep"],
)
def test_what_labels_no_prediction_is_not_late(line: Line) -> None:
    assert late([served(("a", 0))], line) == {}


def test_only_served_blocks_count_as_predictions() -> None:
    assert late([served(("a", 0), kind=BlockKind.LABELLED)], label("a", 5_000)) == {}
