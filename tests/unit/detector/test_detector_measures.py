"""What the detector shows of its partitions, its checkpoints and what it watches."""

from __future__ import annotations

import pytest

from services.cli.backtest.run import Published
from services.detector.account import DETECTORS
from services.detector.adapters.memory_checkpoints import MemoryCheckpoints
from services.detector.alert_log import AlertLog
from services.detector.outputs import Outputs
from services.detector.partition import FoldOptions
from services.detector.performance.cell_cohorts import MAX_COHORTS, MAX_OPEN
from services.detector.places import KEPT, MARKS
from services.detector.seasons.calibration import MAX_COUNTS
from services.detector.stage import DetectorStage, StageOptions
from services.detector.watch_options import WatchOptions
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.events.block import Block, BlockKind
from shared.events.halt import Halt
from shared.log import Outgoing, Record, TopicPartition
from shared.shares import FixedShares
from tests.kit.keeping import keeping
from tests.kit.measuring import Shown, shown
from tests.kit.traffic import MINUTE_MS, MODEL, START_MS, TOPICS, Log, publication, rows, watch_of

LOG = (TOPICS.observations, "0")
WATCH = (MODEL, "v1")


class Running:
    """A detector of one partition, on logs in memory."""

    def __init__(self) -> None:
        self.clock = ManualClock(START_MS)
        self.broker = MemoryBroker(self.clock)
        self.broker.create(*TOPICS.specs())
        self.checkpoints = MemoryCheckpoints()
        self.stage = self.detector()

    def detector(self) -> DetectorStage:
        outputs = Outputs(TOPICS, "main")
        return DetectorStage(
            self.broker.reader(),
            self.broker.writer(),
            AlertLog(self.broker.exclusive_writer, self.broker.reader, TOPICS, "main"),
            keeping(self.checkpoints, clock=self.clock),
            Published([publication()]),
            self.clock,
            TOPICS,
            FoldOptions(outputs, MINUTE_MS, WatchOptions(outputs, "test")),
            FixedShares([0]),
            StageOptions(),
        )

    def write(self, *records: Record) -> None:
        for record in records:
            self.broker.append(Outgoing(record.topic, record.value, None, 0, record.headers, record.timestamp_ms))

    def shown(self) -> Shown:
        while self.stage.step(0.0):
            pass
        return shown(self.stage.measures())


@pytest.fixture(scope="module")
def drifted() -> Running:
    """A detector that has seen a drift, a loss, and time pass."""
    run = Running()
    log = Log(rows(8_000, drift_at=2_000, error_rate=0.4))
    for start in range(0, 8_000, 1_000):
        log.serve(start, start + 1_000)
        log.label(start, start + 800)
        log.tick()
    run.write(*log.records)
    run.stage.step(0.0)
    run.clock.sleep(5.0)
    run.stage.checkpoint()
    return run


def test_a_detector_that_begins_counts_from_zero() -> None:
    counted = Running().shown()

    assert counted["records_in_total"] == counted["detector_checkpoints_total"] == 0
    assert counted["detector_alerts_total"] == {
        (event,): 0
        for event in (
            *("opened", "escalated", "updated", "resolved", "accepted", "retracted", "heartbeat"),
            *("challenger_better", "challenger_worse", "challenger_undecided"),
        )
    }
    assert counted["detector_detections_total"] == {(name,): 0 for name in DETECTORS}
    open_incidents = counted["detector_open_incidents"]
    assert isinstance(open_incidents, dict)
    assert len(open_incidents) == 8
    assert set(open_incidents.values()) == {0}
    assert counted["position"] == {LOG: 0}


def test_the_names_stay_the_same(drifted: Running) -> None:
    assert list(Running().shown()) == list(shown(drifted.stage.measures()))


def test_rows_positions_and_checkpoints_are_shown(drifted: Running) -> None:
    counted = drifted.shown()
    _, sealed = drifted.checkpoints.kept[0]

    assert counted["records_in_total"] == 24
    assert counted["detector_served_rows_total"] == {WATCH: 8_000}
    assert counted["detector_labelled_rows_total"] == {WATCH: 6_400}
    assert (counted["position"], counted["lag_records"]) == ({LOG: 24}, {LOG: 0})
    assert counted["detector_checkpoints_total"] == 1
    assert counted["detector_checkpoint_bytes"] == {(*LOG, "memory"): len(sealed)}
    assert counted["detector_state_bytes"] == {WATCH: len(drifted.stage.folds[0].watches[WATCH].snapshot())}
    assert counted["detector_checkpoint_timestamp_seconds"] == {(*LOG, "memory"): START_MS / 1000 + 5}
    assert counted["log_timestamp_seconds"] == {LOG: START_MS / 1000 + 8 * 60}
    assert counted["detector_stream_timestamp_seconds"] == {WATCH: START_MS / 1000 + (7_999 - 50) * 3_600}


def test_incidents_and_alerts_are_those_that_were_written(drifted: Running) -> None:
    counted = drifted.shown()
    written = [record.value or b"" for record in drifted.broker.records(TOPICS.alerts)]
    by_type = {
        state: sum(f'"driftline.incident.{state}"'.encode() in value for value in written)
        for state in ("opened", "escalated", "updated", "resolved", "accepted", "retracted")
    }
    heartbeats = sum(b'"driftline.heartbeat"' in value for value in written)

    assert by_type["opened"] == 2
    assert counted["detector_alerts_total"] == {
        **{(state,): times for state, times in by_type.items()},
        ("heartbeat",): heartbeats,
        **{(f"challenger_{verdict}",): 0 for verdict in ("better", "worse", "undecided")},
    }
    open_incidents, detections = counted["detector_open_incidents"], counted["detector_detections_total"]
    assert isinstance(open_incidents, dict)
    assert isinstance(detections, dict)
    assert open_incidents["data_drift",] == open_incidents["concept_drift",] == 1
    assert sum(open_incidents.values()) == 2
    assert detections["psi",] > 0
    assert detections["lr_cusum",] > 0
    assert counted["detector_records_out_total"] == {
        (topic,): len(drifted.broker.records(topic)) for topic in (TOPICS.alerts, TOPICS.incidents, TOPICS.profiles)
    }


def test_cells_and_arming_are_those_of_the_baseline(drifted: Running) -> None:
    counted = drifted.shown()
    watch = watch_of(drifted.stage.folds[0])

    assert counted["detector_model_versions"] == {(MODEL,): 1}
    assert counted["detector_calibration_counts"] == counted["detector_profiles"] == {WATCH: 0}
    assert counted["detector_calibration_counts_limit"] == MAX_COUNTS
    assert counted["detector_calibration_refused_cells"] == {WATCH: 0}
    assert counted["detector_profiles_limit"] == {WATCH: 6 * 4}
    assert counted["detector_model_versions_limit"] == 4
    assert counted["detector_cells"] == {WATCH: len(watch._baseline.cells)}
    assert counted["detector_cells_limit"] == 1_000
    assert counted["detector_armed_ratio"] == {
        (*WATCH, "all_traffic"): watch.armed_all_traffic,
        (*WATCH, "segments"): watch.armed_segments,
    }
    assert counted["detector_columns_not_armed"] == {WATCH: len(watch.not_armed)}
    assert counted["detector_faulted_detectors"] == {WATCH: 0}


def test_performance_is_of_the_newest_cohort_that_labels_say_something_of(drifted: Running) -> None:
    counted = drifted.shown()
    newest = drifted.stage.folds[0].watches[WATCH].figures().performance

    assert newest is not None
    assert (newest.cohort_start_row, newest.state) == (7_000, "provisional")
    assert counted["detector_performance_coverage_ratio"] == {WATCH: 0.8}
    shown = counted["detector_performance"]
    assert isinstance(shown, dict)
    assert shown[*WATCH, "roc_auc"] == newest.metrics["roc_auc"].value
    assert {metric for *_, metric in shown} == {
        name for name, found in newest.metrics.items() if found.value is not None and not name.startswith("estimate")
    }


def test_estimates_are_of_the_newest_full_cohort_and_kept_apart(drifted: Running) -> None:
    counted = drifted.shown()
    newest = drifted.stage.folds[0].watches[WATCH].figures().estimate

    assert newest is not None
    assert newest.cohort_start_row == 7_000
    assert counted["detector_estimate_warning"] == {WATCH: 0.0}
    assert counted["detector_estimate_unreliable"] == {WATCH: 1.0}  # labels say .6 where scores say .9
    shown = counted["detector_estimated_performance"]
    assert isinstance(shown, dict)
    assert shown[*WATCH, "accuracy"] == newest.metrics["estimated_accuracy"].value


def test_memories_are_shown_with_what_they_hold_and_what_they_dropped(drifted: Running) -> None:
    counted = drifted.shown()

    assert counted["detector_memory_entries"] == {
        (*WATCH, "places"): KEPT,
        (*WATCH, "place_marks"): 8,
        (*WATCH, "recent_labels"): KEPT,
        (*WATCH, "served_blocks"): 8,
        (*WATCH, "cohorts"): 9,  # of the larger segment, 500 rows each
        (*WATCH, "open_cohorts"): 9,
    }
    assert counted["detector_memory_entries_limit"] == {
        (*WATCH, "places"): KEPT,
        (*WATCH, "place_marks"): MARKS,
        (*WATCH, "recent_labels"): KEPT,
        (*WATCH, "served_blocks"): 4_096,
        (*WATCH, "cohorts"): MAX_COHORTS,
        (*WATCH, "open_cohorts"): MAX_OPEN,
    }
    assert counted["detector_memory_dropped_total"] == {
        (*WATCH, "places"): 8_000 - KEPT,
        (*WATCH, "place_marks"): 0,
        (*WATCH, "recent_labels"): 6_400 - KEPT,
        (*WATCH, "served_blocks"): 0,
        (*WATCH, "cohorts"): 0,
        (*WATCH, "open_cohorts"): 0,
    }


def test_rows_of_new_segments_for_which_there_is_no_cell_are_counted_as_other() -> None:
    run = Running()
    table = rows(500)
    known = table["seg_channel"].to_pylist()
    place = table.schema.get_field_index("seg_channel")
    log = Log(table.set_column(place, "seg_channel", [[f"c{i}" if i < 60 else known[i] for i in range(500)]]))
    log.serve(0, 500)
    run.write(*log.records)
    counted = run.shown()

    assert counted["detector_other_rows_total"] == counted["detector_refused_rows_total"] == {WATCH: 10}
    assert counted["detector_new_cells"] == counted["detector_new_cells_limit"] == {WATCH: 50}
    assert counted["detector_admitted_cells_total"] == {WATCH: 50}
    assert counted["detector_evicted_cells_total"] == {WATCH: 0}


def test_copies_and_shards_without_a_beginning_are_counted() -> None:
    run = Running()
    log = Log(rows(300))
    log.serve(0, 300, cut=100)
    run.write(*log.records, *log.records[1:])
    run.broker.delete_records(TopicPartition(TOPICS.observations, 0), 1)
    counted = run.shown()

    assert counted["detector_duplicates_total"] == {LOG: 2}
    assert counted["detector_anchored_shards"] == {LOG: 1}
    assert counted["detector_served_rows_total"] == {WATCH: 200}


def test_a_successor_shows_what_the_checkpoint_holds(drifted: Running) -> None:
    successor = drifted.detector()
    successor.step(0.0)
    counted = shown(successor.measures())

    assert counted["detector_served_rows_total"] == {WATCH: 8_000}
    assert counted["detector_checkpoints_total"] == 0
    assert counted["detector_state_bytes"] == drifted.shown()["detector_state_bytes"]
    assert counted["position"] == {LOG: 24}


def test_what_is_amiss_is_an_open_incident() -> None:
    running = Running()
    log = Log(rows(100))
    log.serve(0, 100)
    log.put(Block(BlockKind.TICK, halt=Halt("predictions", 0, 7, "garbage")))
    running.write(*log.records)
    counted = running.shown()

    open_incidents = counted["detector_open_incidents"]
    assert isinstance(open_incidents, dict)
    assert open_incidents["watchdog",] == 1
    assert counted["detector_models"] == {LOG: 1}
