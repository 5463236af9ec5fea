"""One partition's fold: what it accepts, which configuration it watches under, when it says that it lives."""

from __future__ import annotations

import msgspec
import pyarrow as pa
import pytest

from services.cli.publication import Publication
from services.detector.migrations import current, headed
from services.detector.partition import MAX_VERSIONS
from shared.errors import Corrupt, Newer
from shared.events.alert import Heartbeat, IncidentEvent, NotWatched, Unwatched
from shared.events.block import Block, BlockKind, encode
from shared.log import Outgoing, Record
from shared.monitors import ActionSpec, RetrainSpec
from shared.values import format_ts
from shared.webhooks import WebhookSpec
from tests.kit.traffic import (
    MINUTE_MS,
    MODEL,
    SPEC,
    START_MS,
    TOPICS,
    Log,
    fold_of,
    folded,
    heartbeats,
    incidents,
    publication,
    published_as,
    rows,
    watch_of,
)

YOUNG = "they have come for less than a week: a silence is told of after three days"
OPENED, RETRACTED = IncidentEvent.OPENED, IncidentEvent.RETRACTED


def drifted(stop: int = 4_000) -> Log:
    """Return a log whose inputs change at row 3,000."""
    log = Log(rows(8_000, drift_at=3_000))
    log.serve(0, stop)
    return log


def tombstones(messages: list[Outgoing]) -> list[str]:
    """Return the incidents of which no latest state is left."""
    found = (message.key for message in messages if message.topic == TOPICS.incidents and message.value is None)
    return [(key or b"").decode() for key in found]


def retraining() -> Publication:
    """Return a configuration that detects as the first one does."""
    retrain = RetrainSpec(when="incident", action=ActionSpec(webhook=WebhookSpec(url="https://trainer.test/start")))
    return published_as(msgspec.structs.replace(SPEC, retrain=retrain))


def test_another_configuration_takes_back_what_was_open_under_the_old_one() -> None:
    stricter = publication(50.0)
    log = drifted()
    log.stamped, log.version = stricter, 2
    log.serve(4_000, 4_100)
    fold = fold_of(publication(), stricter)

    told = folded(fold, log.records)

    (opened, before), (retracted, after) = incidents(told)
    assert (opened, retracted) == (OPENED, RETRACTED)
    assert after.incident_id == before.incident_id
    assert (after.configuration_version, after.rows_affected) == (1, 4_000 - after.onset.row)
    assert tombstones(told) == [after.incident_id]
    assert watch_of(fold).rows_served == 100
    assert watch_of(fold).open_incidents() == []


def test_both_families_of_incidents_are_taken_back() -> None:
    stricter = publication(50.0)
    log = Log(rows(6_000, drift_at=2_000, error_rate=0.5))
    log.serve(0, 4_000)
    log.label(0, 4_000)
    log.stamped, log.version = stricter, 2
    log.serve(4_000, 4_100)

    told = folded(fold_of(publication(), stricter), log.records)

    opened = [data.incident_id for event, data in incidents(told) if event is OPENED]
    retracted = [data.incident_id for event, data in incidents(told) if event is RETRACTED]
    assert len(opened) == 2
    assert retracted == opened == tombstones(told)


def test_where_nothing_is_open_nothing_is_taken_back() -> None:
    stricter = publication(50.0)
    log = Log(rows(1_000))
    log.serve(0, 500)
    log.stamped, log.version = stricter, 2
    log.serve(500, 1_000)

    assert folded(fold_of(publication(), stricter), log.records) == []


def test_another_retraining_does_not_start_anew() -> None:
    changed = retraining()
    log = drifted()
    log.stamped, log.version = changed, 2
    log.serve(4_000, 5_000)
    fold = fold_of(publication(), changed)

    told = folded(fold, log.records)

    assert RETRACTED not in [event for event, _ in incidents(told)]
    assert watch_of(fold).rows_served == 5_000
    assert watch_of(fold).configuration_version == 2
    assert watch_of(fold).configuration_hash == changed.definition.hash


def test_an_older_configuration_that_comes_late_does_not_start_anew() -> None:
    stricter = publication(50.0)
    log = Log(rows(3_000), stamped=stricter, version=2)
    log.serve(0, 1_000)
    log.stamped, log.version = publication(), 1
    log.serve(1_000, 2_000, shard=1)
    log.stamped, log.version = stricter, 2
    log.serve(2_000, 3_000)
    fold = fold_of(publication(), stricter)

    folded(fold, log.records)

    assert watch_of(fold).rows_served == 3_000
    assert watch_of(fold).configuration_version == 2


def test_one_version_too_many_ends_the_watch_of_the_first_one() -> None:
    log = drifted()
    for number in range(2, MAX_VERSIONS + 2):
        log.serve(4_000 + number * 100, 4_100 + number * 100, model_version=f"v{number}")
    fold = fold_of()

    told = folded(fold, log.records)

    assert [event for event, _ in incidents(told)] == [OPENED, RETRACTED]
    assert {data.model_version for _, data in incidents(told)} == {"v1"}
    assert [version for _, version in fold.watches] == ["v2", "v3", "v4", "v5"]
    assert len(fold.watches) == MAX_VERSIONS == 4


def test_versions_of_other_models_do_not_count() -> None:
    other = published_as(SPEC, model="cars")
    log = Log(rows(1_000))
    for number in range(MAX_VERSIONS):
        log.serve(number * 100, number * 100 + 100, model_version=f"v{number}")
    log.stamped, log.model = other, "cars"
    log.serve(400, 500)
    fold = fold_of(publication(), other)

    folded(fold, log.records)

    assert len(fold.watches) == MAX_VERSIONS + 1


def test_a_copy_of_an_output_is_dropped_and_counted() -> None:
    log = Log(rows(600))
    log.serve(0, 600, cut=300)
    fold = fold_of()

    folded(fold, [*log.records, *log.records])

    assert fold.duplicates == 2
    assert watch_of(fold).rows_served == 600


def test_what_follows_a_missing_output_is_taken_after_it_and_not_before() -> None:
    log = Log(rows(900))
    log.serve(0, 900, cut=300)
    first, missing, last = log.records
    fold = fold_of()

    assert folded(fold, [first, last]) == []
    assert watch_of(fold).rows_served == 300
    assert fold.loss is not None
    assert fold.loss.startswith("outputs of shard 0 between 65536 and 131072 are missing")

    again = fold_of()
    again.restore(fold.snapshot())
    folded(again, [first, missing, last])
    assert again.loss is None
    assert watch_of(again).rows_served == 900
    assert again.last == log.last


def test_shards_have_chains_of_their_own() -> None:
    log = Log(rows(900))
    log.serve(0, 300, shard=0)
    log.serve(300, 600, shard=1)
    log.serve(600, 900, shard=0)
    fold = fold_of()

    folded(fold, log.records)

    assert fold.last == log.last
    assert watch_of(fold).rows_served == 900


def test_a_shard_first_seen_in_the_middle_of_a_trimmed_log_is_anchored() -> None:
    log = Log(rows(900))
    log.serve(0, 300, shard=0)
    log.serve(300, 900, cut=300, shard=1)
    fold = fold_of()

    folded(fold, [log.records[0], log.records[2]])

    assert fold.anchored == [1]
    assert watch_of(fold).rows_served == 600


def test_a_shard_first_seen_in_the_middle_of_a_whole_log_has_lost_its_beginning() -> None:
    log = Log(rows(900))
    log.serve(0, 300, shard=0)
    log.serve(300, 900, cut=300, shard=1)
    fold = fold_of()
    fold.is_whole = True

    folded(fold, [log.records[0], log.records[2]])

    assert (fold.anchored, fold.missing) == ([], {1: 131072})
    assert watch_of(fold).rows_served == 300


def test_a_block_without_a_place_in_a_shards_outputs_is_corrupt() -> None:
    value, headers = encode(Block(BlockKind.TICK))

    with pytest.raises(Corrupt, match=f"{TOPICS.observations}-0@5: no place"):
        fold_of().fold(Record(TOPICS.observations, 0, 5, START_MS, None, value, headers))


def test_the_kinds_of_halves_are_no_observations() -> None:
    log = Log(rows(1))
    batch = pa.RecordBatch.from_pydict({"ts": [START_MS]})
    log.put(Block(BlockKind.PREDICTION, MODEL, "v1", publication().definition.stamp(1, "key"), batch))

    with pytest.raises(Corrupt, match="prediction is no kind of observation"):
        folded(fold_of(), log.records)


def test_a_model_says_that_it_lives_once_a_whole_period_of_log_time() -> None:
    log = Log(rows(100))
    log.serve(0, 100)
    for _ in range(3 * 4):
        log.tick(after_ms=MINUTE_MS // 4)

    found = heartbeats(folded(fold_of(), log.records))

    whole = -(-START_MS // MINUTE_MS) * MINUTE_MS  # the first period that begins after the first record
    quarter = MINUTE_MS // 4
    first = START_MS + -(-(whole - START_MS) // quarter) * quarter
    assert [beat.log_time for beat in found] == [format_ts(first + n * MINUTE_MS) for n in range(3)]


def test_periods_without_a_record_are_not_made_up_for() -> None:
    log = Log(rows(100))
    log.serve(0, 100)
    log.tick(after_ms=10 * MINUTE_MS)
    log.tick(after_ms=0)
    log.tick(shard=1, after_ms=0)

    assert [beat.log_time for beat in heartbeats(folded(fold_of(), log.records))] == [
        format_ts(START_MS + 10 * MINUTE_MS)
    ]


def test_log_time_that_goes_back_is_not_followed() -> None:
    log = Log(rows(100))
    log.serve(0, 100)
    log.tick(after_ms=2 * MINUTE_MS)
    log.tick(after_ms=-MINUTE_MS)
    fold = fold_of()

    assert len(heartbeats(folded(fold, log.records))) == 1
    assert fold.log_time == START_MS + 2 * MINUTE_MS


def test_without_a_model_a_tick_says_nothing() -> None:
    log = Log(rows(1))
    log.tick()
    log.tick()

    assert folded(fold_of(), log.records) == []


def test_a_heartbeat_counts_all_versions_and_describes_the_newest() -> None:
    log = drifted()
    log.label(0, 700)
    log.serve(4_000, 4_150, model_version="v2")
    log.tick()
    fold = fold_of()

    told = folded(fold, log.records)

    (_, opened), *_ = incidents(told)
    (beat,) = heartbeats(told)
    assert beat == Heartbeat(
        model=MODEL,
        model_version="v2",
        log_time=format_ts(START_MS + MINUTE_MS),
        stream_time=format_ts(watch_of(fold, "v2").stream_time or 0),
        rows_served=4_150,
        rows_labelled=700,
        open_incidents=[opened.incident_id],
        armed_all_traffic=1.0,
        armed_segments=watch_of(fold).armed_segments,
        not_armed={},
        faulted={},
        configuration_version=1,
        not_watched=[
            *(
                NotWatched(kind=Unwatched.PERFORMANCE, what=monitor, why="unsteady: alarms on the reference itself")
                for monitor in ("roc_auc", "calibration")
            ),
            *(NotWatched(kind=Unwatched(kind), what=kind, why=YOUNG) for kind in ("predictions", "labels")),
        ],
    )


def busy() -> Log:
    """Return a log with everything in it."""
    log = Log(rows(8_000, drift_at=3_000, error_rate=0.5))
    for start in range(0, 4_000, 500):
        log.serve(start, start + 400, cut=150, shard=start // 500 % 2)
        log.serve(start + 400, start + 500, model_version="v2")
        log.label(start, start + 100, cut=70, shard=start // 500 % 2)
        log.tick()
    log.label(0, 100, replaced="0")
    return log


@pytest.mark.parametrize("every", [1, 7])
def test_a_fold_that_is_restored_goes_on_as_if_nothing_had_been(every: int) -> None:
    records = busy().records
    whole = fold_of()
    expected = folded(whole, records)

    parted = fold_of()
    told: list[Outgoing] = []
    for number, record in enumerate(records):
        if number % every == 0:
            kept, parted = parted.snapshot(), fold_of()
            parted.restore(kept)
        told += parted.fold(record)

    assert {event for event, _ in incidents(expected)} >= {OPENED}
    assert heartbeats(expected)
    assert told == expected
    assert parted.snapshot() == whole.snapshot()


def checkpointed() -> bytes:
    log = drifted(1_000)
    fold = fold_of()
    folded(fold, log.records)
    return fold.snapshot()


def test_a_checkpoint_of_another_release_is_refused() -> None:
    body = current(checkpointed())

    with pytest.raises(Corrupt, match="checkpoint of partition 0: a state of version 0"):
        fold_of().restore(headed(body, 0))
    with pytest.raises(Newer, match="checkpoint of partition 0: a state of version 9, this release reads up to"):
        fold_of().restore(headed(body, 9))


@pytest.mark.parametrize("length", [0, 5, len(headed(b"")), len(headed(b"")) + 1, 10_000, -1])
def test_a_checkpoint_that_was_cut_is_corrupt(length: int) -> None:
    with pytest.raises(Corrupt, match="partition 0"):
        fold_of().restore(checkpointed()[:length])


def test_a_checkpoint_whose_watches_have_another_shape_is_corrupt() -> None:
    kept = msgspec.msgpack.decode(current(checkpointed()))
    kept["watches"][0][-1] = msgspec.msgpack.encode({"places": "somewhere"})

    with pytest.raises(Corrupt, match="partition 0 does not read back"):
        fold_of().restore(headed(msgspec.msgpack.encode(kept)))


def test_records_are_folded_by_what_they_hold_not_by_where_they_stand() -> None:
    log = drifted()
    moved = [msgspec.structs.replace(record, offset=record.offset + 1_000) for record in log.records]
    here, there = fold_of(), fold_of()

    assert folded(here, log.records) == folded(there, moved)
    assert here.snapshot() == there.snapshot()
