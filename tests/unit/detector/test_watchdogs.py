"""What the fold tells of silence, of columns and of detectors that fail: incidents that never page."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.cli.publication import Publication
from services.detector.banks.detections import Detections
from services.detector.partition import PartitionFold
from services.detector.structs import FloatArray
from services.detector.warming import WARMING_UP
from services.detector.watchdogs.columns import ROWS
from services.detector.watchdogs.labelling import LEARNT_COHORTS, LEARNT_MS, Usual
from shared.detectors import DetectorSpec
from shared.durations import UNITS_MS
from shared.events.alert import Action, Incident, IncidentEvent, IncidentKind, Severity, Unwatched
from shared.events.block import FLAG_TYPE_ERROR, Block, BlockKind
from shared.events.halt import Halt
from shared.log import Outgoing
from shared.values import format_ts
from shared.watchdog import WatchdogSpec
from tests.kit.traffic import (
    MINUTE_MS,
    SPEC,
    START_MS,
    WARMING,
    Log,
    alerts,
    fold_of,
    fold_options,
    folded,
    heartbeats,
    incidents,
    published_as,
    rows,
    watch_of,
)

OPENED, RESOLVED = IncidentEvent.OPENED, IncidentEvent.RESOLVED
HALF_AN_HOUR = WatchdogSpec(no_predictions="30m")
FAILING = DetectorSpec(name="hddm_a", signal="amount")


def watched(spec: WatchdogSpec) -> Publication:
    return published_as(msgspec.structs.replace(SPEC, watchdog=spec))


def ticks(log: Log, minutes: int) -> None:
    for _ in range(minutes):
        log.tick(after_ms=MINUTE_MS)


def of_watchdogs(messages: list[Outgoing]) -> list[tuple[IncidentEvent, Incident]]:
    return [(event, data) for event, data in incidents(messages) if data.kind is IncidentKind.WATCHDOG]


def told(log: Log) -> list[tuple[IncidentEvent, Incident]]:
    return of_watchdogs(folded(fold_of(log.stamped), log.records))


def test_a_silence_that_only_ticks_tell_of_is_an_incident_until_predictions_come_again() -> None:
    log = Log(rows(600), watched(HALF_AN_HOUR))
    log.serve(0, 300)
    ticks(log, 40)
    log.serve(300, 600)

    (opened, data), (resolved, last) = told(log)

    (culprit,) = data.culprits
    assert (opened, resolved) == (OPENED, RESOLVED)
    assert (data.severity, data.recommended_action) == (Severity.INFO, Action.FIX_PIPELINE)
    assert data.cause == "no predictions for 31 m, more than 30 m"
    assert data.summary == "loans v1: no predictions for 31 m, more than 30 m"
    assert data.by_chance_once_in == "unknown: this limit is not calibrated"
    assert (culprit.feature, culprit.detector, culprit.statistic) == ("predictions", "watchdog", "silence_seconds")
    assert (culprit.value, culprit.threshold) == (31 * 60, 30 * 60)
    assert (data.onset.row, data.onset.offset, data.rows_affected) == (299, 299, 0)
    assert data.detected == msgspec.structs.replace(data.onset, ts=format_ts(START_MS + 31 * MINUTE_MS))
    assert last.incident_id == data.incident_id


def test_a_silence_does_not_page_and_is_named_in_heartbeats() -> None:
    log = Log(rows(300), watched(HALF_AN_HOUR))
    log.serve(0, 300)
    ticks(log, 40)

    messages = folded(fold_of(log.stamped), log.records)

    ((_, data),) = of_watchdogs(messages)
    assert not any(alert.is_page for alert in alerts(messages))
    assert heartbeats(messages)[-1].open_incidents == [data.incident_id]


def test_time_that_no_record_witnesses_is_no_silence() -> None:
    log = Log(rows(600), watched(HALF_AN_HOUR))
    log.serve(0, 300)
    log.tick(after_ms=10 * UNITS_MS["h"])
    ticks(log, 5)
    log.serve(300, 600)

    assert told(log) == []


def test_another_version_of_the_model_ends_the_silence() -> None:
    log = Log(rows(600), watched(HALF_AN_HOUR))
    log.serve(0, 300)
    ticks(log, 25)
    log.serve(300, 600, model_version="v2")
    ticks(log, 25)

    assert told(log) == []


def test_labels_that_do_not_come_are_an_incident_where_a_limit_is_given() -> None:
    log = Log(rows(600), watched(WatchdogSpec(no_labels="20m")))
    log.serve(0, 600)
    log.label(0, 100)
    for minute in range(30):
        ticks(log, 1)
        log.serve(minute, minute + 1)
    log.label(100, 200)

    (opened, data), (resolved, _) = told(log)

    assert (opened, resolved) == (OPENED, RESOLVED)
    assert (data.culprits[0].feature, data.cause) == ("labels", "no labels for 21 m, more than 20 m")


def test_while_predictions_are_silent_labels_are_not_missed() -> None:
    log = Log(rows(300), watched(WatchdogSpec(no_predictions="10m", no_labels="20m")))
    log.serve(0, 300)
    log.label(0, 100)
    ticks(log, 60)

    assert [data.culprits[0].feature for _, data in told(log)] == ["predictions"]


def test_predictions_that_get_fewer_labels_than_usual_are_an_incident_until_they_get_as_many() -> None:
    log = Log(rows(1_000))
    log.serve(0, 100)
    for labels in (100, 300, 300):
        log.serve(0, 1_000)
        ticks(log, 60)
        log.serve(0, 1_000)
        log.label(0, labels)
    ticks(log, 70)
    fold = fold_of(log.stamped)
    found = folded(fold, log.records[:1])
    labelling = fold.watchdogs.state.models["loans"].labelling
    labelling.began, labelling.usual[0] = -LEARNT_MS, Usual(LEARNT_COHORTS, 0.2, 0.0001)

    found += folded(fold, log.records[1:])

    (opened, data), (resolved, last) = of_watchdogs(found)
    assert (opened, resolved) == (OPENED, RESOLVED)
    assert last.incident_id == data.incident_id
    assert (data.severity, data.culprits[0].feature) == (Severity.INFO, "labels")
    assert (data.culprits[0].statistic, data.culprits[0].threshold) == ("labelled_share", 0.1)
    assert data.cause == "4.8% of 2,100 predictions have a label after 1 h, 20.0% is usual"


def test_where_silence_is_not_watched_none_is_told() -> None:
    log = Log(rows(300), watched(HALF_AN_HOUR))
    log.serve(0, 300)
    ticks(log, 60)
    quiet = fold_of(log.stamped, options=fold_options(watch_silence=False))

    assert of_watchdogs(folded(quiet, log.records)) == []


def test_a_model_that_warms_up_is_watched_for_silence() -> None:
    log = Log(rows(300), Publication.warming_up("loans", msgspec.structs.replace(WARMING, watchdog=HALF_AN_HOUR)))
    log.serve(0, 300)
    ticks(log, 40)

    ((_, data),) = told(log)

    assert (data.cause, data.baseline_hash) == ("no predictions for 31 m, more than 30 m", "")


def test_another_limit_begins_no_watch_anew() -> None:
    stricter = watched(WatchdogSpec(no_predictions="10m"))
    log = Log(rows(600), watched(HALF_AN_HOUR))
    log.serve(0, 300)
    log.stamped, log.version = stricter, 2
    log.serve(300, 600)
    ticks(log, 12)
    fold = fold_of(watched(HALF_AN_HOUR), stricter)

    found = of_watchdogs(folded(fold, log.records))

    assert watch_of(fold).rows_served == 600
    assert [data.cause for _, data in found] == ["no predictions for 11 m, more than 10 m"]


def test_traffic_with_nights_and_weekends_is_never_a_silence() -> None:
    log = Log(rows(2_000))
    row = 0
    for hour in range(24 * 23):
        day, of_day = divmod(hour, 24)
        for _ in range(60):
            log.tick(after_ms=MINUTE_MS)
        if day % 7 < 5 and 8 <= of_day < 18:
            log.serve(row, row + 1)
            log.label(row, row + 1)
            row += 1

    assert told(log) == []


def test_a_column_of_another_type_is_one_incident_while_the_model_warms_up() -> None:
    log = Log(rows(4 * ROWS), Publication.warming_up("loans", WARMING))
    log.serve(0, ROWS)
    log.flags = {"flags:amount": FLAG_TYPE_ERROR}
    log.serve(ROWS, 4 * ROWS, cut=ROWS)

    ((event, data),) = told(log)

    assert event is OPENED
    assert data.cause == "amount came with another type in 100.0% of 500 predictions"
    assert (data.culprits[0].feature, data.culprits[0].statistic) == ("amount", "type_error_share")


def test_a_column_whose_values_come_no_more_is_an_incident_while_the_model_warms_up() -> None:
    table = rows(3 * ROWS)
    amount = np.where(np.arange(3 * ROWS) < ROWS, table["amount"].to_numpy(), np.nan)
    changed = table.set_column(table.schema.get_field_index("amount"), "amount", pa.array(amount))
    log = Log(changed, Publication.warming_up("loans", WARMING))
    log.serve(0, 3 * ROWS, cut=ROWS)

    ((event, data),) = told(log)

    assert (event, data.culprits[0].feature) == (OPENED, "amount")
    assert data.cause == "amount has come without a value 500 times in a row; 100.0% had one before"


class Failing:
    """A bank of somebody else."""

    name, version = "hddm_a", 1

    def update(self, values: FloatArray) -> Detections:
        raise ZeroDivisionError(f"of {len(values)}")


def failed(log: Log) -> tuple[PartitionFold, list[Outgoing]]:
    fold = fold_of(log.stamped)
    found = folded(fold, log.records[:1])
    (followed,) = watch_of(fold)._advisory._followed
    bank = followed._bank
    followed._bank = Failing()  # type: ignore[assignment]
    found += folded(fold, log.records[1:2])
    followed._bank = bank
    return fold, found


def test_a_detector_that_fails_gives_up_and_everything_else_goes_on() -> None:
    log = Log(rows(600), published_as(msgspec.structs.replace(SPEC, detectors=[FAILING])))
    log.serve(0, 600, cut=200)
    ticks(log, 2)
    fold, found = failed(log)

    parted = fold_of(log.stamped)
    parted.restore(fold.snapshot())
    found += folded(parted, log.records[2:])

    ((event, data),) = of_watchdogs(found)
    assert event is OPENED
    assert data.cause == "the detector hddm_a on amount failed, and says no more: ZeroDivisionError"
    assert heartbeats(found)[-1].faulted == {"hddm_a on amount": "ZeroDivisionError"}
    assert watch_of(parted).rows_served == 600


def halted(offset: int, *, is_over: bool = False) -> Block:
    return Block(BlockKind.TICK, halt=Halt("predictions", 3, offset, "200 dead letters in a row", is_over))


@pytest.mark.parametrize("is_told", [True, False], ids=["it is told", "rows tell"])
def test_an_input_that_is_not_read_is_an_incident_until_it_is_again(is_told: bool) -> None:
    log = Log(rows(600))
    log.serve(0, 300)
    log.put(halted(300))
    log.serve(250, 300)
    ticks(log, 2)
    if is_told:
        log.put(halted(300, is_over=True))
    log.serve(300, 400)
    ticks(log, 2)

    found = folded(fold_of(), log.records)

    (opened, data), (resolved, _) = of_watchdogs(found)
    assert (opened, resolved) == (OPENED, RESOLVED)
    assert data.cause == "predictions/3 is not read from offset 300 on: 200 dead letters in a row"
    assert [[one.what for one in beat.not_watched if one.kind is Unwatched.INPUT] for beat in heartbeats(found)] == [
        ["predictions/3"]
    ] * 2 + [[]] * 2


def unwatched(messages: list[Outgoing]) -> dict[str, str]:
    """Return what the last heartbeat says is not watched, columns and segments left out."""
    kinds = (Unwatched.COLUMN, Unwatched.SEGMENT)
    return {one.what: one.why for one in heartbeats(messages)[-1].not_watched if one.kind not in kinds}


def test_heartbeats_say_what_does_not_come_and_since_when_nobody_looked() -> None:
    log = Log(rows(300), watched(HALF_AN_HOUR))
    log.serve(0, 300)
    log.tick(after_ms=UNITS_MS["h"])
    ticks(log, 40)
    gap = f"{format_ts(START_MS)} to {format_ts(START_MS + UNITS_MS['h'])}"

    assert unwatched(folded(fold_of(log.stamped), log.records)) == {
        "predictions": "no predictions for 31 m, more than 30 m",
        "labels": "none has come yet",
        "roc_auc": "unsteady: alarms on the reference itself",
        "calibration": "unsteady: alarms on the reference itself",
        "log time": f"no record came from {gap}: what happened then was not watched as it happened",
    }


def test_a_gap_is_listed_for_a_day() -> None:
    log = Log(rows(300), watched(HALF_AN_HOUR))
    log.serve(0, 300)
    log.tick(after_ms=UNITS_MS["h"])
    ticks(log, 24 * 60)

    assert "log time" not in unwatched(folded(fold_of(log.stamped), log.records))


def test_a_model_that_warms_up_is_not_watched_at_all() -> None:
    log = Log(rows(300), Publication.warming_up("loans", WARMING))
    log.serve(0, 100)
    log.label(0, 100)
    ticks(log, 1)

    (beat,) = heartbeats(folded(fold_of(log.stamped), log.records))

    named = {(one.kind.value, one.what) for one in beat.not_watched if one.why == WARMING_UP}
    assert named == {("column", name) for name in beat.not_armed} | {("performance", "errors")}


@pytest.mark.parametrize("every", [1, 5])
def test_a_fold_that_is_restored_tells_the_same_of_silence(every: int) -> None:
    log = Log(rows(600), watched(HALF_AN_HOUR))
    log.serve(0, 300)
    ticks(log, 40)
    log.serve(300, 600)
    whole, parted, found = fold_of(log.stamped), fold_of(log.stamped), list[Outgoing]()

    for number, record in enumerate(log.records):
        if number % every == 0:
            kept, parted = parted.snapshot(), fold_of(log.stamped)
            parted.restore(kept)
        found += parted.fold(record)

    assert found == folded(whole, log.records)
    assert parted.snapshot() == whole.snapshot()
