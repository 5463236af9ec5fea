"""What the joiner shows of its shards."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from services.joiner.account import FATES
from services.joiner.adapters.memory_view import MemoryView
from services.joiner.view import Reading, Snapshot
from services.joiner.words import NAMESPACE_CAP, TOTAL_CAP
from shared.errors import Unavailable
from tests.kit.halves import HORIZON, HOUR, MODEL, L, P, labels, predictions, tick
from tests.kit.joining import TOPICS, Installation
from tests.kit.measuring import shown

SHARD = (TOPICS.halves, "0")
OTHER_SHARD = (TOPICS.halves, "1")


def fates(**counted: int) -> dict[tuple[str, ...], float]:
    return {(MODEL, fate): counted.get(fate, 0) for fate in FATES}


def test_rows_are_counted_by_what_became_of_them_over_all_shards() -> None:
    run = Installation()
    run.write((predictions(P("a"), P("b"), P("a")), HOUR))
    run.write((labels(L("a"), L("x")), 2 * HOUR))
    run.write((predictions(P("c")), HOUR), shard=1)
    joiner = run.joiner()
    joiner.step(0.0)
    counted = shown(joiner.measures())

    assert counted["joiner_rows_total"] == fates(served=3, prediction_duplicates=1, labels_joined=1, unmatched_label=1)
    assert (counted["records_in_total"], counted["rows_in_total"], counted["rows_out_total"]) == (3, 6, 4)
    assert counted["blocks_out_total"] == 3
    assert counted["joiner_classes_over_cap_total"] == {(MODEL,): 0}
    assert counted["position"] == {SHARD: 2, OTHER_SHARD: 1}
    assert counted["lag_records"] == {SHARD: 0, OTHER_SHARD: 0}
    assert counted["log_timestamp_seconds"] == {SHARD: 7_200, OTHER_SHARD: 3_600}


def test_a_successor_goes_on_where_the_view_is() -> None:
    run = Installation()
    run.write((predictions(P("a"), P("b")), 0))
    run.joiner().step(0.0)
    successor = run.joiner()
    successor.step(0.0)
    counted = shown(successor.measures())

    assert counted["joiner_rows_total"] == fates(served=2)
    assert (counted["rows_in_total"], counted["position"]) == (0, {SHARD: 1})


class Away(MemoryView):
    """A view that can be away."""

    is_away = False

    def load(self, shard: int) -> Snapshot:
        if self.is_away:
            raise Unavailable("redis")
        return super().load(shard)

    def read(self, shard: int, position: int | None, ids: Sequence[bytes]) -> Reading | None:
        if self.is_away:
            raise Unavailable("redis")
        return super().read(shard, position, ids)


def test_what_was_stored_is_shown_while_the_view_is_away() -> None:
    run = Installation()
    run.write((predictions(P("a")), 0))
    view = Away()
    joiner = run.joiner(view=view)
    joiner.step(0.0)
    before = shown(joiner.measures())
    view.is_away = True
    run.write((predictions(P("b")), 0))
    for _ in range(2):
        with pytest.raises(Unavailable):
            joiner.step(0.0)

    after = shown(joiner.measures())
    for name in ("joiner_rows_total", "position", "joiner_words"):
        assert after[name] == before[name] != {}


def test_texts_are_shown_with_what_bounds_them() -> None:
    run = Installation()
    run.write((predictions(P("a", prediction="x"), P("b", prediction="y"), P("c", prediction="z")), 0))
    joiner = run.joiner()
    joiner.step(0.0)
    counted = shown(joiner.measures())

    assert counted["joiner_fullest_namespace_words"] == {SHARD: 3}  # classes; one shape, one segment value
    assert counted["joiner_words"] == {SHARD: 5}
    assert counted["joiner_words_limit"] == TOTAL_CAP
    assert counted["joiner_fullest_namespace_words_limit"] == NAMESPACE_CAP


def test_generations_that_are_dropped_are_counted() -> None:
    run = Installation()
    joiner = run.joiner()
    for half in [(predictions(P("a")), 0), (tick(), HORIZON), (tick(), 2 * HORIZON)]:
        run.write(half)
        joiner.step(0.0)

    assert shown(joiner.measures())["joiner_rotations_total"] == 2


def test_batches_for_another_place_of_the_view_are_counted() -> None:
    run = Installation()
    joiner = run.joiner()
    run.write((predictions(P("a")), 0))
    joiner.step(0.0)
    run.view.drop(0)
    run.write((predictions(P("b")), 0))
    joiner.step(0.0)
    thrown_away = shown(joiner.measures())
    joiner.step(0.0)
    counted = shown(joiner.measures())

    assert (thrown_away["joiner_restarts_total"], counted["joiner_restarts_total"]) == (1, 1)
    assert (counted["rows_in_total"], counted["position"]) == (3, {SHARD: 2})
