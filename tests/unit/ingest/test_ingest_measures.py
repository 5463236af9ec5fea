"""What the consumers count of themselves."""

from __future__ import annotations

import pytest

from shared.events.block import BlockKind
from shared.events.dead_letter import REASONS
from shared.ingest.limit import DeadLetterLimit
from shared.ingest.options import IngestOptions
from shared.ingest.stage import COMMIT_SECONDS, MAX_BYTES_IN_HAND, MAX_ROWS_IN_HAND
from tests.kit.ingest import NOW, TOPICS, ingest, label, labels, prediction, predictions
from tests.kit.measuring import shown

LOG = (TOPICS.predictions, "0")


@pytest.mark.parametrize("kind", [BlockKind.PREDICTION, BlockKind.LABEL])
def test_a_consumer_that_begins_counts_from_zero(kind: BlockKind) -> None:
    counted = shown(ingest(kind).stage.measures())

    assert counted["records_in_total"] == counted["rows_out_total"] == counted["ingest_commits_total"] == 0
    assert counted["dead_letters_total"] == {(reason,): 0 for reason in REASONS}
    assert counted["ingest_events_total"] == {(model, "rows"): 0 for model in ("loan", "animals", "price", "feed")}
    assert (counted["ingest_models"], counted["ingest_models_limit"]) == (4, 1_000)
    assert counted["last_record_timestamp_seconds"] == {}


def test_the_names_stay_the_same() -> None:
    service = predictions()
    before = list(shown(service.stage.measures()))
    service.take(prediction(), b"garbage")

    assert list(shown(service.stage.measures())) == before


def test_events_are_counted_from_their_record_to_their_block() -> None:
    service = predictions()
    service.take(prediction(request_id="a"), prediction(request_id="b", surprise=1), b"garbage")
    service.write(prediction(model="house"), ts_ms=NOW + 500)
    service.take()
    counted = shown(service.stage.measures())

    assert counted["records_in_total"] == 4
    assert (counted["blocks_out_total"], counted["rows_out_total"]) == (1, 2)
    assert counted["last_record_timestamp_seconds"] == NOW / 1000 + 0.5
    assert counted["ingest_events_total"] == {
        ("loan", "rows"): 2,
        ("loan", "unknown_field"): 1,
        ("animals", "rows"): 0,
        ("price", "rows"): 0,
        ("feed", "rows"): 0,
        ("", "json"): 1,
        ("house", "unknown_model"): 1,
    }
    letters = counted["dead_letters_total"]
    assert isinstance(letters, dict)
    assert {reason: times for (reason,), times in letters.items() if times} == {"json": 1, "unknown_model": 1}
    assert counted["ingest_unknown_models"] == 1
    assert counted["ingest_slow_path_total"] == 4  # three of these, and the first that names a version


def test_position_is_what_is_committed_and_lag_what_is_not_read() -> None:
    service = predictions()
    service.write(prediction(request_id="a"), prediction(request_id="b"))
    service.stage.step(0.0)
    service.write(prediction(request_id="c"))
    before = shown(service.stage.measures())
    service.clock.sleep(COMMIT_SECONDS)
    service.stage.step(0.0)
    after = shown(service.stage.measures())

    other = (TOPICS.predictions, "1")
    assert (before["position"], before["lag_records"]) == ({}, {LOG: 1, other: 0})
    assert (after["position"], after["lag_records"]) == ({LOG: 3}, {LOG: 0, other: 0})
    assert (before["ingest_commits_total"], after["ingest_commits_total"]) == (0, 1)


def test_what_is_in_hand_is_shown_with_its_limits() -> None:
    service = predictions(options=IngestOptions(linger_ms=10_000))
    service.take(prediction(request_id="a"), prediction(request_id="b"))
    counted = shown(service.stage.measures())

    assert (counted["ingest_in_hand_rows"], counted["ingest_in_hand_rows_limit"]) == (2, MAX_ROWS_IN_HAND)
    assert counted["ingest_in_hand_bytes_limit"] == MAX_BYTES_IN_HAND
    waiting = counted["ingest_in_hand_bytes"]
    assert isinstance(waiting, int)
    assert 300 < waiting < 700


def test_refusals_are_shown_with_the_numbers_that_halt_a_log() -> None:
    service = labels(options=IngestOptions(linger_ms=0, limit=DeadLetterLimit(ratio=0.5, run=4, window=10)))
    log = (TOPICS.ground_truth, "0")
    service.take(b"garbage", label(), b"garbage", b"rubbish", b"rubbish")
    near = shown(service.stage.measures())
    service.take(b"rubbish", label())
    past = shown(service.stage.measures())

    assert (near["ingest_recently_refused"], near["ingest_recently_refused_limit"]) == ({log: 4}, 5)
    assert (near["ingest_refused_in_a_row"], near["ingest_refused_in_a_row_limit"]) == ({log: 3}, 4)
    assert (near["ingest_halted"], near["ingest_halts_total"]) == ({log: 0}, 0)
    assert (past["ingest_halted"], past["ingest_halts_total"]) == ({log: 1}, 1)
    assert past["lag_records"] == {log: 1, (TOPICS.ground_truth, "1"): 0}


def test_ticks_are_counted() -> None:
    service = predictions()
    service.clock.sleep(6.0)
    service.stage.step(0.0)

    assert shown(service.stage.measures())["ingest_ticks_total"] == TOPICS.halves_partitions
