from __future__ import annotations

import numpy as np
import pyarrow as pa

from services.detector.segments import CellIndex, DimensionColumn, divide
from tests.kit.references import served, words


def dimension(*texts: str | None) -> DimensionColumn:
    known = [text for text in dict.fromkeys(texts) if text is not None]
    return np.array([-1 if text is None else known.index(text) for text in texts], dtype=np.int32), known


REGION = dimension("north", "south", "north", None)
CHANNEL = dimension("web", "web", "branch", "web")
CROSSES = [("region",), ("region", "channel")]


def test_cells_are_all_then_the_combinations_seen_then_other_for_each_segmentation() -> None:
    _, labels = divide(CROSSES, {"region": REGION, "channel": CHANNEL}, 4)

    assert labels == [
        "all",
        "region=__missing__",
        "region=north",
        "region=south",
        "region=__other__",
        "region=__missing__,channel=web",
        "region=north,channel=branch",
        "region=north,channel=web",
        "region=south,channel=web",
        "region=__other__,channel=__other__",
    ]


def test_rows_find_their_cells_by_value_and_unknown_values_the_other_cell() -> None:
    segmentations, _ = divide(CROSSES, {"region": REGION, "channel": CHANNEL}, 4)
    block = served(s__region=words("south", "north", "east", None), s__channel=words("web", "branch", "web", "web"))

    cells = CellIndex(segmentations).of_batch(block)

    assert cells.tolist() == [[0, 3, 8], [0, 2, 6], [0, 4, 9], [0, 1, 5]]


def test_a_combination_that_the_reference_does_not_hold_is_other() -> None:
    segmentations, _ = divide(CROSSES, {"region": REGION, "channel": CHANNEL}, 4)

    cells = CellIndex(segmentations).of_batch(served(s__region=words("south"), s__channel=words("branch")))

    assert cells.tolist() == [[0, 3, 9]]


def test_a_dimension_that_a_block_lacks_is_missing() -> None:
    segmentations, _ = divide([("channel",)], {"channel": CHANNEL}, 4)

    assert CellIndex(segmentations).of_batch(served(prediction=pa.array([1.0]))).tolist() == [[0, 3]]


def test_the_reference_finds_the_cells_it_made() -> None:
    dimensions = {"region": REGION, "channel": CHANNEL}
    segmentations, labels = divide(CROSSES, dimensions, 4)

    cells = CellIndex(segmentations).of_reference(dimensions, 4)

    assert [[labels[cell] for cell in row] for row in cells.tolist()] == [
        ["all", "region=north", "region=north,channel=web"],
        ["all", "region=south", "region=south,channel=web"],
        ["all", "region=north", "region=north,channel=branch"],
        ["all", "region=__missing__", "region=__missing__,channel=web"],
    ]


def test_a_dimension_keeps_its_fifty_most_frequent_values() -> None:
    texts = [f"v{i:03}" for i in range(80) for _ in range(80 - i)]
    many = dimension(*texts)

    segmentations, labels = divide([("shop",)], {"shop": many}, len(texts))

    assert len(labels) == 52
    assert labels[1:51] == [f"shop=v{i:03}" for i in range(50)]
    assert CellIndex(segmentations).of_batch(served(s__shop=words("v049", "v050"))).tolist() == [[0, 50], [0, 51]]


def test_cells_are_at_most_a_thousand() -> None:
    rng = np.random.default_rng(1)
    shop = (rng.integers(0, 50, 40_000).astype(np.int32), [f"s{i}" for i in range(50)])
    day = (rng.integers(0, 50, 40_000).astype(np.int32), [f"d{i}" for i in range(50)])

    segmentations, labels = divide([("shop", "day")], {"shop": shop, "day": day}, 40_000)

    assert len(labels) == 1_000
    assert int(CellIndex(segmentations).of_reference({"shop": shop, "day": day}, 40_000).max()) == 999
