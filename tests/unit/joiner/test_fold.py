"""The rules of one request id, as small stories."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from services.joiner.fold import Emission
from services.joiner.meta import Counters, Meta
from shared.errors import Corrupt, LogIdentity
from shared.events.block import Block, BlockKind, Stamp, decode
from shared.events.halt import Halt
from shared.events.news import TakenUp
from shared.monitors import MAX_MODELS
from shared.values import OTHER_LEVEL
from tests.kit.halves import (
    HORIZON,
    HOUR,
    KEY,
    L,
    P,
    Shard,
    erasure,
    folded,
    labels,
    predictions,
    records,
    request,
    rows,
    tick,
)


def served(outputs: list[Emission]) -> list[tuple[object, ...]]:
    return rows(outputs, BlockKind.SERVED)


def labelled(outputs: list[Emission]) -> list[tuple[object, ...]]:
    return rows(outputs, BlockKind.LABELLED, ["label"])


def corrected(outputs: list[Emission]) -> list[tuple[object, ...]]:
    return rows(outputs, BlockKind.CORRECTED, ["label", "replaced_label"])


def test_a_label_joins_its_prediction() -> None:
    shard = folded(predictions(P("a", ts=5), P("b")), labels(L("a", "no", ts=9, offset=44)))
    assert served(shard.outputs) == [("v1", request("a")), ("v1", request("b"))]
    [joined] = rows(
        shard.outputs,
        BlockKind.LABELLED,
        [
            *["ts", "label_ts", "src_topic", "src_partition", "src_offset", "label", "label_version"],
            *["prediction", "score", "s:salary", "served_seq", "served_row"],
        ],
    )
    assert joined == ("v1", request("a"), 5, 9, "ground-truth", 3, 44, "no", None, "yes", 0.5, "low", 0, 0)
    assert shard.count() == Counters(served=2, labels_joined=1)


def test_a_label_that_arrives_first_waits_for_its_prediction() -> None:
    shard = folded(labels(L("a", "no")))
    assert shard.outputs == []
    assert shard.count() == Counters(unmatched_label=1)

    outputs = shard.fold(records([tick(), predictions(P("b"), P("a"))])[1:])
    assert [output.block.kind for output in outputs] == [BlockKind.SERVED, BlockKind.LABELLED]
    assert rows(outputs, BlockKind.LABELLED, ["label", "served_seq", "served_row"]) == [
        ("v1", request("a"), "no", 1 << 16, 1)
    ]
    assert shard.count() == Counters(served=2, labels_joined=1)


def test_two_labels_of_one_id_in_a_block_are_a_join_and_its_correction() -> None:
    shard = folded(predictions(P("a")), labels(L("a", "no", ts=1), L("a", "yes", ts=2)))
    assert [output.block.kind for output in shard.outputs[1:]] == [BlockKind.LABELLED, BlockKind.CORRECTED]
    assert labelled(shard.outputs) == [("v1", request("a"), "no")]
    assert corrected(shard.outputs) == [("v1", request("a"), "yes", "no")]
    assert shard.count() == Counters(served=1, labels_joined=1, corrections=1)


def test_an_older_label_in_the_block_of_a_newer_one_changes_nothing() -> None:
    shard = folded(predictions(P("a")), labels(L("a", "no", ts=2), L("a", "yes", ts=1)))
    assert labelled(shard.outputs) == [("v1", request("a"), "no")]
    assert corrected(shard.outputs) == []
    assert shard.count() == Counters(served=1, labels_joined=1, label_conflicts=1)


def test_a_second_version_of_an_id_is_served_and_meets_the_same_label() -> None:
    shard = folded(predictions(P("a")), predictions(P("a"), version="v2"), labels(L("a"), L("a", "no", ts=101)))
    assert served(shard.outputs) == [("v1", request("a")), ("v2", request("a"))]
    assert labelled(shard.outputs) == [("v1", request("a"), "yes"), ("v2", request("a"), "yes")]
    assert corrected(shard.outputs) == [("v1", request("a"), "no", "yes"), ("v2", request("a"), "no", "yes")]
    assert shard.count() == Counters(served=2, labels_joined=1, corrections=1)


def test_a_version_that_comes_after_the_label_meets_it_without_joining_the_label_twice() -> None:
    shard = folded(predictions(P("a")), labels(L("a")), predictions(P("a"), version="v2"))
    assert labelled(shard.outputs) == [("v1", request("a"), "yes"), ("v2", request("a"), "yes")]
    assert shard.count() == Counters(served=2, labels_joined=1)


def test_a_fifth_version_is_dropped_and_counted() -> None:
    shard = folded(*(predictions(P("a"), version=f"v{n}") for n in range(6)))
    assert [version for version, _ in served(shard.outputs)] == ["v0", "v1", "v2", "v3"]
    assert shard.count() == Counters(served=4, predictions_dropped=2)


def test_the_same_prediction_again_is_a_duplicate_and_another_content_a_conflict() -> None:
    shard = folded(predictions(P("a"), P("a"), P("a", content=1)), predictions(P("a", content=2)))
    assert served(shard.outputs) == [("v1", request("a"))]
    assert shard.count() == Counters(served=1, prediction_duplicates=1, prediction_conflicts=2)


def test_the_first_prediction_wins() -> None:
    shard = folded(predictions(P("a", score=0.1)), predictions(P("a", score=0.9, content=1)), labels(L("a")))
    assert rows(shard.outputs, BlockKind.LABELLED, ["score"]) == [("v1", request("a"), 0.1)]


def test_rows_cut_into_other_blocks_by_a_restart_are_duplicates() -> None:
    shard = folded(predictions(P("a"), P("b")), predictions(P("b"), P("c")), predictions(P("c"), P("d")))
    assert [identity for _, identity in served(shard.outputs)] == [request(name) for name in "abcd"]
    assert shard.count() == Counters(served=4, prediction_duplicates=2)


def test_the_same_label_again_is_a_duplicate_of_any_rank() -> None:
    shard = folded(predictions(P("a")), labels(L("a", ts=5)), labels(L("a", ts=4), L("a", ts=5), L("a", ts=6)))
    assert shard.count() == Counters(served=1, labels_joined=1, label_duplicates=3)


def test_a_newer_duplicate_makes_the_labels_before_it_stale() -> None:
    shard = folded(predictions(P("a")), labels(L("a", ts=5)), labels(L("a", ts=9)), labels(L("a", "no", ts=7)))
    assert corrected(shard.outputs) == []
    assert shard.count() == Counters(served=1, labels_joined=1, label_duplicates=1, label_conflicts=1)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (L("a", "no", version=1, ts=9), L("a", "yes", version=2, ts=1)),
        (L("a", "no", ts=9), L("a", "yes", version=1, ts=1)),
        (L("a", "no", ts=8, offset=5), L("a", "yes", ts=9, offset=1)),
        (L("a", "no", ts=9, offset=1), L("a", "yes", ts=9, offset=5)),
    ],
    ids=["label version", "a version before any time", "label time", "source offset"],
)
def test_labels_are_ordered_by_what_they_say_and_never_by_arrival(older: L, newer: L) -> None:
    forward = folded(predictions(P("a")), labels(older), labels(newer))
    backward = folded(predictions(P("a")), labels(newer), labels(older))
    assert corrected(forward.outputs) == [("v1", request("a"), "yes", "no")]
    assert corrected(backward.outputs) == []
    assert backward.count().label_conflicts == 1
    for shard in (forward, backward):
        outputs = shard.fold(records([predictions(P("a"), version="v2")] * 4)[3:])
        assert labelled(outputs) == [("v2", request("a"), "yes")]


def test_a_newer_label_replaces_one_that_still_waits() -> None:
    shard = folded(labels(L("a", "no", ts=1)), labels(L("a", "yes", ts=2)), predictions(P("a")))
    assert labelled(shard.outputs) == [("v1", request("a"), "yes")]
    assert corrected(shard.outputs) == []
    assert shard.count() == Counters(served=1, labels_joined=1, corrections=1)


def test_a_label_at_the_horizon_joins_and_one_after_it_does_not() -> None:
    at = folded((predictions(P("a")), HOUR), (labels(L("a")), HOUR + HORIZON))
    after = folded((predictions(P("a")), HOUR), (labels(L("a")), HOUR + HORIZON + 1))
    assert at.count() == Counters(served=1, labels_joined=1)
    assert after.count() == Counters(served=1, unmatched_label=1)
    assert labelled(after.outputs) == []


def test_an_id_used_again_after_its_horizon_is_a_new_prediction() -> None:
    shard = folded((predictions(P("a", score=0.1)), 0), (predictions(P("a", score=0.9)), HORIZON + 1), labels(L("a")))
    assert rows(shard.outputs, BlockKind.LABELLED, ["score", "served_seq"]) == [("v1", request("a"), 0.9, 1 << 16)]
    assert shard.count() == Counters(served=2, labels_joined=1)


def test_log_time_never_goes_back() -> None:
    shard = folded((predictions(P("a")), HORIZON), (labels(L("b")), 5), (labels(L("a")), 2 * HORIZON))
    assert [output.log_time for output in shard.outputs] == [HORIZON, 2 * HORIZON]
    assert shard.count().labels_joined == 1


def test_rows_that_bring_their_own_log_time_expire_by_it() -> None:
    late = HORIZON + 1
    block = predictions(P("a"), P("b"), P("a", score=0.9), log_ts=[0, 5, late])
    shard = folded((block, 10**12))
    assert shard.count() == Counters(served=3)
    assert [output.log_time for output in shard.outputs] == [late]


def test_generations_rotate_with_the_largest_horizon_stamped() -> None:
    shard = folded(
        (predictions(P("a")), HOUR),
        (predictions(P("b"), horizon_ms=2 * HORIZON), 2 * HOUR),
        (tick(), HOUR + 2 * HORIZON - 1),
    )
    assert shard.rotations == 0
    shard.fold(records([(tick(), HOUR + 2 * HORIZON)] * 4)[3:])
    assert shard.rotations == 1


def test_labels_of_ids_that_nobody_predicted_are_kept_up_to_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.joiner.fold.MAX_WAITING_LABELS", 2)
    shard = folded((labels(L("a"), L("b"), L("c")), HOUR))
    assert shard.count() == Counters(unmatched_label=2, labels_dropped=1)

    shard.fold(records([(predictions(P("a"), P("c")), HOUR)] * 2)[1:])
    shard.fold(records([(labels(L("d"), L("e")), HOUR)] * 3)[2:])
    assert shard.count() == Counters(served=2, labels_joined=1, unmatched_label=2, labels_dropped=2)


def test_a_generation_that_is_dropped_makes_room_for_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.joiner.fold.MAX_WAITING_LABELS", 1)
    shard = folded((labels(L("a")), HOUR), (tick(), HOUR + HORIZON), (labels(L("b")), HOUR + HORIZON))
    assert shard.rotations == 1
    assert shard.count() == Counters(unmatched_label=2)


def test_a_tick_goes_to_every_partition_and_carries_log_time() -> None:
    shard = folded((predictions(P("a")), 50), (tick(), 70))
    ticks = [output for output in shard.outputs if output.block.kind is BlockKind.TICK]
    assert [(output.partition, output.log_time) for output in ticks] == [(0, 70), (1, 70)]
    chains = [output.block.chain for output in ticks]
    destination = KEY.model_partition("car_loan", 2)
    assert [place.seq for place in chains if place] == [1 << 16, 1 << 16 | 1]
    assert [place.prev for place in chains if place] == [0 if partition == destination else -1 for partition in (0, 1)]


def test_a_halt_of_an_input_reaches_every_partition() -> None:
    halt = Halt("predictions", 3, 17, "8 dead letters in a row")
    shard = folded((Block(BlockKind.TICK, halt=halt), 70))
    assert [(output.partition, output.block.halt) for output in shard.outputs] == [(0, halt), (1, halt)]


def test_what_a_consumer_tells_reaches_every_partition() -> None:
    news = TakenUp("car_loan", 17, "h")
    shard = folded((Block(BlockKind.TICK, news=news), 70))
    assert [(output.partition, output.block.news) for output in shard.outputs] == [(0, news), (1, news)]


def test_every_output_names_the_one_before_it_in_its_partition() -> None:
    models = ["m1", "m2", "m3", "m4"]
    shard = folded(*(predictions(P("a"), model=model) for model in models), *(labels(L("a"), model=m) for m in models))
    last = {0: -1, 1: -1}
    for output in shard.outputs:
        place = output.block.chain
        assert place is not None
        assert place.prev == last[output.partition] < place.seq
        last[output.partition] = place.seq
    assert sorted(last) == [0, 1]
    assert min(last.values()) > -1


def test_outputs_carry_the_stamp_of_their_block() -> None:
    shard = folded(predictions(P("a")), labels(L("a")))
    assert [output.block.stamp for output in shard.outputs] == [Stamp(7, "c0ffee", HORIZON, KEY.fingerprint)] * 2


def test_a_served_row_keeps_the_columns_of_its_prediction_but_the_joiners_own() -> None:
    [output] = folded(predictions(P("a"), log_ts=[0])).outputs
    assert output.block.batch is not None
    names = ["id", "ts", "src_topic", "src_partition", "src_offset", "f:age", "s:salary", "prediction", "score"]
    assert output.block.batch.schema.names == names


def test_null_classes_and_segments_stay_null() -> None:
    shard = folded(predictions(P("a", prediction=None, segment=None)), labels(L("a")))
    assert rows(shard.outputs, BlockKind.LABELLED, ["prediction", "s:salary"]) == [("v1", request("a"), None, None)]


def test_numbers_are_joined_as_numbers() -> None:
    numeric = predictions(P("a"))
    label = labels(L("a"), L("a", ts=101))
    assert numeric.batch is not None
    assert label.batch is not None
    at = numeric.batch.schema.get_field_index("prediction")
    numeric = replace(numeric, batch=numeric.batch.set_column(at, "prediction", np.array([2.5])))
    at = label.batch.schema.get_field_index("label")
    label = replace(label, batch=label.batch.set_column(at, "label", np.array([3.5, 4.5])))
    shard = folded(numeric, label)
    assert rows(shard.outputs, BlockKind.LABELLED, ["prediction", "label"]) == [("v1", request("a"), 2.5, 3.5)]
    assert corrected(shard.outputs) == [("v1", request("a"), 4.5, 3.5)]


def test_a_prediction_block_that_is_too_large_becomes_several_outputs_in_row_order() -> None:
    names = [f"id{n}" for n in range(4_500)]
    shard = folded(predictions(*map(P, names)), labels(*map(L, names)))
    assert [output.block.rows for output in shard.outputs] == [2_000, 2_000, 500] * 2
    assert served(shard.outputs) == [("v1", request(name)) for name in names]
    assert rows(shard.outputs, BlockKind.LABELLED, ["served_seq", "served_row"]) == [
        ("v1", request(name), n // 2_000, n % 2_000) for n, name in enumerate(names)
    ]


def test_a_block_keyed_with_another_id_key_stops_the_fold() -> None:
    block = replace(predictions(P("a")), stamp=Stamp(7, "c0ffee", HORIZON, "00000000"))
    with pytest.raises(LogIdentity, match="id key 00000000"):
        folded(block)


def test_a_kind_that_does_not_belong_in_halves_stops_the_fold() -> None:
    block = replace(predictions(P("a")), kind=BlockKind.SERVED)
    with pytest.raises(Corrupt, match="served does not belong here"):
        folded(block)


def test_classes_beyond_the_cap_are_counted() -> None:
    shard = Shard()
    names = [f"id{n}" for n in range(1_003)]
    log = records([predictions(*(P(name, prediction=name) for name in names)), labels(L("id0", "new"))])
    shard.fold(log)
    assert shard.count().classes_over_cap == 4
    assert labelled(shard.outputs) == [("v1", request("id0"), "__other__")]


def test_what_is_written_reads_back_as_the_same_block() -> None:
    [output] = folded(predictions(P("a"))).outputs
    message = output.outgoing("driftline.observations")
    [record] = records([Block(BlockKind.TICK)])
    read = decode(msgspec.structs.replace(record, value=message.value, headers=message.headers))
    assert read.chain == output.block.chain
    assert read.batch is not None
    assert read.batch.equals(output.block.batch)
    assert (message.partition, message.timestamp_ms) == (output.partition, 0)


def test_of_an_erased_request_nothing_is_kept_and_nothing_more_is_taken() -> None:
    shard = folded(predictions(P("a"), P("b")), labels(L("a")), erasure("a"))
    before = len(shard.outputs)

    for record in records([tick(), tick(), tick(), predictions(P("a"), version="v2"), labels(L("a", "no", 2))])[3:]:
        shard.fold([record])

    assert shard.entries[request("a")] == b"\0" + (2 + HORIZON).to_bytes(6, "little") + b"\0"
    assert shard.outputs[before:] == []
    assert shard.count() == Counters(served=2, labels_joined=1, erasures=1, predictions_erased=1, labels_erased=1)


def test_a_label_that_waits_is_erased_with_its_request() -> None:
    shard = folded(labels(L("a")), erasure("a"), predictions(P("a")))

    assert shard.outputs == []
    assert shard.count() == Counters(unmatched_label=1, erasures=1, predictions_erased=1)


def test_an_erased_id_is_as_good_as_new_once_a_horizon_has_passed() -> None:
    shard = folded((predictions(P("a")), 0), (erasure("a"), HOUR), (predictions(P("a")), HOUR + HORIZON + 1))

    assert [row[1] for row in rows(shard.outputs, BlockKind.SERVED)] == [request("a")] * 2
    assert shard.count() == Counters(served=2, erasures=1)


def test_an_id_that_was_never_seen_can_be_erased_and_again() -> None:
    shard = folded(erasure("a"), erasure("a"), predictions(P("a")))

    assert shard.outputs == []
    assert shard.count() == Counters(erasures=2, predictions_erased=1)


def test_models_beyond_the_limit_are_counted_as_one() -> None:
    meta = Meta.fresh(1)
    for number in range(MAX_MODELS + 2):
        meta.count(f"m{number}").served += 1
    meta.count("m0").served += 1

    assert len(meta.counters) == MAX_MODELS + 1
    assert (meta.counters["m0"].served, meta.counters[OTHER_LEVEL].served) == (2, 2)
