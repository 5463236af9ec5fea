"""Which combinations of segment values get a cell of their own from the log, and until when."""

from __future__ import annotations

import numpy as np
import pytest

from services.detector.admission import GRACE_MS, MAX_SLOTS, Admission, Placed
from services.detector.baseline import Segmentation
from services.detector.segments import MAX_HELD, CellIndex, DimensionColumn, divide
from services.detector.structs import decode_struct, encode_struct
from tests.kit.references import served, words

DAY_MS = 86_400_000


def dimension(*texts: str) -> DimensionColumn:
    known = list(dict.fromkeys(texts))
    return np.array([known.index(text) for text in texts], np.int32), known


def segmented(*crosses: tuple[str, ...]) -> list[Segmentation]:
    """Return segmentations of a reference of two channels and two regions in three combinations."""
    dimensions = {"channel": dimension("web", "web", "branch"), "region": dimension("north", "south", "north")}
    return divide(crosses, dimensions, 3)[0]


class Slots:
    """An admission with the blocks that it is given."""

    def __init__(self, *crosses: tuple[str, ...], cap: int = 10, horizon_ms: int = 0) -> None:
        self.segmentations = segmented(*(crosses or (("channel",),)))
        self.admission = Admission(self.segmentations, cap, horizon_ms)

    def admit(self, *channels: str | None, region: tuple[str, ...] = (), log_time: int = 0) -> Placed:
        block = served(s__channel=words(*channels), s__region=words(*(region or ("north",) * len(channels))))
        cells = CellIndex(self.segmentations).of_batch(block)
        return self.admission.admit(block, cells, log_time)

    @property
    def labels(self) -> list[str]:
        return [self.admission.label(slot) for slot in range(len(self.admission.state.slots))]


def test_a_value_that_the_reference_does_not_hold_gets_a_cell_and_leaves_other() -> None:
    slots = Slots()

    placed = slots.admit("web", "app", "phone", "app")

    assert slots.labels == ["channel=app", "channel=phone"]
    assert placed.slots.tolist() == [[-1], [0], [1], [0]]
    assert placed.cells.tolist() == [[0, 2], [0, -1], [0, -1], [0, -1]]
    assert placed.begun == [(0, 1), (1, 2)]
    assert slots.admit("phone").begun == []


def test_a_null_is_a_value_where_the_reference_has_none_and_other_never_is() -> None:
    slots = Slots()

    assert slots.admit(None, "__other__").slots.tolist() == [[0], [-1]]
    assert slots.labels == ["channel=__missing__"]


def test_a_combination_of_known_values_is_new_where_the_reference_does_not_hold_it() -> None:
    slots = Slots(("channel",), ("channel", "region"))

    placed = slots.admit("branch", "branch", "web", region=("south", "north", "north"))

    assert slots.labels == ["channel=branch,region=south"]
    assert placed.slots.tolist() == [[-1, 0], [-1, -1], [-1, -1]]


def test_what_the_reference_holds_in_other_stays_there() -> None:
    texts = [f"v{i:03}" for i in range(80) for _ in range(80 - i)]
    segmentations, _ = divide([("shop",)], {"shop": dimension(*texts)}, len(texts))
    block = served(s__shop=words("v000", "v060", "unheard of"))

    placed = Admission(segmentations, 10, 0).admit(block, CellIndex(segmentations).of_batch(block), 0)

    assert placed.cells.tolist() == [[0, 1], [0, 51], [0, -1]]


def test_nothing_is_new_where_the_reference_holds_more_than_can_be_known() -> None:
    texts = [f"v{i}" for i in range(MAX_HELD + 60)]
    segmentations, _ = divide([("shop",)], {"shop": dimension(*texts)}, len(texts))
    block = served(s__shop=words("unheard of"))
    admission = Admission(segmentations, 10, 0)

    assert admission.admit(block, CellIndex(segmentations).of_batch(block), 0).slots.tolist() == [[-1]]
    assert admission.limit == 0


def test_beyond_the_cap_rows_stay_in_other_and_are_counted() -> None:
    slots = Slots(("channel",), ("region",), cap=2)

    slots.admit("a", "b", "c", "a")
    placed = slots.admit("c", "b", "d", region=("east", "north", "north"))

    assert slots.labels == ["channel=a", "channel=b", "region=east"]
    assert placed.cells.tolist() == [[0, 3, -1], [0, -1, 4], [0, 3, 4]]
    assert (slots.admission.state.admitted, slots.admission.state.refused) == (3, 3)
    assert (slots.admission.taken, slots.admission.limit) == (3, 4)


def test_segmentations_share_what_a_model_may_have() -> None:
    assert Slots(("channel",), ("region",), cap=2_000).admission.limit == MAX_SLOTS
    assert Slots(("channel",), ("region",), cap=0).admission.limit == 0


@pytest.mark.parametrize("cut", [1, 2, 5])
def test_slots_do_not_depend_on_where_blocks_end(cut: int) -> None:
    crosses = ("channel",), ("region",), ("channel", "region")
    channels = ("app", "web", "phone", "app", "kiosk", "branch", "phone")
    regions = ("north", "east", "east", "west", "north", "south", "north")
    whole, parts = Slots(*crosses, cap=3), Slots(*crosses, cap=3)
    whole.admit(*channels, region=regions)

    for start in range(0, len(channels), cut):
        parts.admit(*channels[start : start + cut], region=regions[start : start + cut])

    assert encode_struct(parts.admission.state) == encode_struct(whole.admission.state)


def test_a_combination_that_has_not_come_for_long_gives_its_slot_back() -> None:
    slots = Slots(cap=2, horizon_ms=30 * DAY_MS)
    slots.admit("a", "b", log_time=0)
    slots.admit("b", log_time=DAY_MS)
    idle = 30 * DAY_MS + GRACE_MS

    assert slots.admission.evict(idle) == []
    assert slots.admission.evict(idle + 1) == [0]
    assert slots.labels == ["", "channel=b"]
    assert slots.admit("c", log_time=idle + 1).begun == [(0, 0)]
    assert slots.labels == ["channel=c", "channel=b"]
    assert slots.admission.state.evicted == 1


def test_an_admission_goes_on_where_its_state_was_taken() -> None:
    slots, other = Slots(cap=2, horizon_ms=DAY_MS), Slots(cap=2, horizon_ms=DAY_MS)
    slots.admit("a", "b", "c", log_time=5)
    other.admission.restore(decode_struct(encode_struct(slots.admission.state), type(slots.admission.state)))

    for one in (slots, other):
        one.admission.evict(6 + DAY_MS + GRACE_MS)
        one.admit("c", "a", log_time=6 + DAY_MS + GRACE_MS)

    assert slots.labels == other.labels == ["channel=c", "channel=a"]
    assert encode_struct(slots.admission.state) == encode_struct(other.admission.state)


def test_labels_find_the_slots_of_their_rows_and_take_none() -> None:
    slots = Slots()
    slots.admit("app")
    block = served(s__channel=words("app", "phone", "web"))

    found = slots.admission.placed(block, CellIndex(slots.segmentations).of_batch(block))

    assert found.slots.tolist() == [[0], [-1], [-1]]
    assert slots.labels == ["channel=app"]
