"""What served and labelled rows of one model version lead to."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.detector.partition import PartitionFold
from services.detector.places import REACH
from services.detector.report import CohortRow, ListSink, WindowRow
from shared.errors import Corrupt
from shared.events.alert import Action, Incident, IncidentEvent, IncidentKind, Severity
from shared.events.block import Block, BlockKind
from shared.values import format_ts
from tests.kit.references import HOUR_MS
from tests.kit.traffic import (
    MODEL,
    START_MS,
    TOPICS,
    Log,
    fold_of,
    fold_options,
    folded,
    incidents,
    names,
    publication,
    rows,
    watch_of,
)

OPENED, UPDATED, RESOLVED = IncidentEvent.OPENED, IncidentEvent.UPDATED, IncidentEvent.RESOLVED
DATA, LOSS, CONCEPT = IncidentKind.DATA_DRIFT, IncidentKind.PERFORMANCE_DEGRADATION, IncidentKind.CONCEPT_DRIFT


def eventful() -> pa.Table:
    """Return 7,000 rows: from row 1,500 to 3,000 `amount` is ten times as large and half the answers are wrong."""
    worse = rows(1_500, 2, drift_at=0, error_rate=0.5)
    return pa.concat_tables([rows(1_500), worse, rows(4_000, 3)])


Said = tuple[list[tuple[IncidentEvent, Incident]], list[WindowRow], list[CohortRow]]


def replay(table: pa.Table, cut: int) -> Said:
    """Return what a log says that labels a thousand rows as soon as they are served."""
    log = Log(table)
    for start in range(0, len(table), 1_000):
        stop = min(start + 1_000, len(table))
        log.serve(start, stop, cut=cut)
        log.label(start, stop, cut=cut)
    sink = ListSink()
    fold = fold_of(sink=sink)
    told = incidents(folded(fold, log.records))
    return told, sink.windows, watch_of(fold).cohort_rows(START_MS)


@cache
def eventful_in_thousands(count: int) -> Said:
    """Return what the first rows of `eventful` say in blocks of a thousand."""
    return replay(eventful().slice(0, count), 1_000)


def nameless(told: list[tuple[IncidentEvent, Incident]]) -> list[tuple[IncidentEvent, Incident]]:
    """Return incidents without the id, which names the block."""
    return [(event, msgspec.structs.replace(data, incident_id="")) for event, data in told]


@pytest.mark.parametrize(("cut", "count"), [(1, 2_500), (7, 7_000), (500, 7_000), (2_000, 7_000)])
def test_how_rows_are_cut_into_blocks_changes_nothing_but_ids(cut: int, count: int) -> None:
    told, windows, cohorts = replay(eventful().slice(0, count), cut)

    expected, expected_windows, expected_cohorts = eventful_in_thousands(count)
    assert [event for event, _ in expected].count(OPENED) == 2
    assert (RESOLVED in [event for event, _ in expected]) == (count == 7_000)
    assert nameless(told) == nameless(expected)
    assert windows == expected_windows
    assert cohorts == expected_cohorts


def test_steady_traffic_says_nothing() -> None:
    told, windows, _ = replay(rows(6_000), 2_000)

    assert told == []
    assert {row.segment for row in windows} == {"all", "channel=web", "channel=branch"}


def test_a_drift_opens_an_incident_that_names_the_column_and_the_row() -> None:
    log = Log(rows(4_000, drift_at=3_000))
    log.serve(0, 3_300)

    ((event, data),) = incidents(folded(fold_of(), log.records))

    assert event is OPENED
    assert (data.kind, data.kinds, data.severity) == (DATA, [DATA], Severity.WARNING)
    assert (data.model, data.model_version) == (MODEL, "v1")
    assert names(data.culprits) == {"amount"}
    assert data.cause == "the inputs changed: amount"
    assert data.recommended_action is Action.INVESTIGATE
    assert abs(data.onset.row - 3_000) < 50
    assert 3_000 < data.detected.row < 3_300
    assert data.rows_affected == data.detected.row + 1 - data.onset.row
    assert data.blast_radius == {"all": 1.0}
    assert 0.0 < data.chance_per_week < 0.01


def test_an_incident_points_at_the_prediction_that_it_began_with() -> None:
    log = Log(rows(4_000, drift_at=3_000))
    log.serve(0, 4_000)

    (_, data), *_ = incidents(folded(fold_of(), log.records))

    assert (data.onset.topic, data.onset.partition, data.onset.offset) == ("predictions", 3, data.onset.row)
    assert data.onset.ts == format_ts(START_MS + data.onset.row * HOUR_MS)
    assert data.detected.offset == data.detected.row


def test_a_drift_that_goes_on_says_nothing_twice() -> None:
    log = Log(rows(12_000, drift_at=3_000))
    log.serve(0, 12_000)
    fold = fold_of()

    told = incidents(folded(fold, log.records))

    assert [event for event, _ in told].count(OPENED) == 1
    assert len({(event, frozenset(names(data.culprits)), len(data.inside_segments)) for event, data in told}) == len(
        told
    )
    assert RESOLVED not in [event for event, _ in told]
    assert watch_of(fold).open_incidents() == [told[0][1].incident_id]


def test_a_drift_that_has_gone_resolves_once() -> None:
    table = pa.concat_tables([rows(2_000), rows(1_000, 2, drift_at=0), rows(6_000, 3)])
    log = Log(table)
    log.serve(0, 9_000)
    fold = fold_of()

    told = incidents(folded(fold, log.records))

    assert (told[0][0], told[-1][0]) == (OPENED, RESOLVED)
    assert [event for event, _ in told].count(RESOLVED) == 1
    assert len({data.incident_id for _, data in told}) == 1
    assert watch_of(fold).open_incidents() == []


def test_a_second_drift_is_a_second_incident() -> None:
    calm = [rows(5_000, seed) for seed in (1, 2)]
    log = Log(pa.concat_tables([calm[0], rows(500, 3, drift_at=0), calm[1], rows(500, 4, drift_at=0)]))
    log.serve(0, 11_000)

    told = incidents(folded(fold_of(), log.records))

    opened = [data for event, data in told if event is OPENED]
    assert [5_000 <= opened[0].detected.row < 5_500, 10_500 <= opened[1].detected.row < 11_000] == [True, True]
    assert opened[0].incident_id != opened[1].incident_id


def test_a_loss_while_inputs_stand_still_is_concept_drift() -> None:
    log = Log(pa.concat_tables([rows(2_000), rows(2_000, 2, error_rate=0.5)]))
    log.serve(0, 4_000)
    log.label(0, 4_000)

    told = incidents(folded(fold_of(), log.records))

    _, data = told[0]
    assert [event for event, _ in told] == [OPENED] + [UPDATED] * (len(told) - 1)
    assert (data.kinds, data.severity) == ([CONCEPT, LOSS], Severity.CRITICAL)
    assert data.recommended_action is Action.RETRAIN
    assert abs(data.onset.row - 2_000) < 50
    assert names(told[-1][1].culprits) == {"error", "false_positive", "false_negative"}


def test_a_loss_at_the_same_answers_is_concept_drift_though_inputs_have_moved() -> None:
    log = Log(pa.concat_tables([rows(2_000), rows(2_000, 2, drift_at=0, error_rate=0.5)]))
    log.serve(0, 4_000)
    log.label(0, 4_000)

    opened = [data for event, data in incidents(folded(fold_of(), log.records)) if event is OPENED]

    assert [data.kinds for data in opened] == [[DATA], [CONCEPT, LOSS]]


def test_labels_that_come_long_after_their_predictions_still_find_the_onset() -> None:
    log = Log(pa.concat_tables([rows(1_000), rows(1_000, 2, error_rate=0.5), rows(REACH + 4_000, 3)]))
    log.serve(0, REACH + 6_000)
    log.label(0, 2_000)

    told = incidents(folded(fold_of(), log.records))
    data = next(data for _, data in told if IncidentKind.PERFORMANCE_DEGRADATION in data.kinds)

    assert abs(data.onset.row - 1_000) < 50
    assert data.onset.row <= data.detected.row < 1_200
    assert data.onset.offset <= data.onset.row


def accuracy(fold: PartitionFold) -> list[object]:
    return [row.metrics["accuracy"].value for row in watch_of(fold).cohort_rows(START_MS) if row.segment == "all"]


def labelled() -> Log:
    log = Log(rows(4_000))
    log.serve(0, 4_000)
    log.label(0, 3_000)
    return log


def test_a_corrected_label_is_counted_in_its_cohort_in_place_of_the_old_one() -> None:
    log = labelled()
    before, after = fold_of(), fold_of()
    folded(before, log.records)
    label, answer = (log.table[name].to_numpy() for name in ("label", "prediction"))
    wrong = np.flatnonzero((label != answer)[:1_000]).tolist()

    log.relabel(answer)
    for row in wrong:
        log.label(row, row + 1, replaced=str(label[row]))
    told = folded(after, log.records)

    assert accuracy(before)[0] == pytest.approx(1 - len(wrong) / 1_000)
    assert accuracy(after) == [1.0, *accuracy(before)[1:]]
    assert watch_of(after).rows_labelled == 3_000
    assert told == []


def test_corrections_never_alarm() -> None:
    log = labelled()
    log.relabel(1 - log.table["prediction"].to_numpy())
    log.label(0, 3_000, replaced="1")
    fold = fold_of()

    assert folded(fold, log.records) == []
    assert watch_of(fold).rows_labelled == 3_000


def test_profiles_are_the_windows_that_detection_closed() -> None:
    log = Log(rows(3_000))
    log.serve(0, 3_000)
    sink = ListSink()

    told = folded(fold_of(sink=sink, options=fold_options(profiles=True)), log.records)

    assert {message.topic for message in told} == {TOPICS.profiles}
    windows = [message for message in told if b"/estimate/" not in (message.key or b"")]
    assert [msgspec.json.decode(message.value or b"", type=WindowRow) for message in windows] == sink.windows
    assert {(row.window_start_row, row.window_end_row) for row in sink.windows if row.segment == "all"} == {
        (0, 999),
        (1_000, 1_999),
        (2_000, 2_999),
    }
    assert windows[0].key == f"{MODEL}/v1/{sink.windows[0].signal}/{sink.windows[0].segment}".encode()


def test_profiles_have_what_labels_say_of_a_cohort_once_it_is_final() -> None:
    log = Log(rows(3_000))
    log.serve(0, 1_000)
    log.label(0, 600)
    log.tick(after_ms=3_000 * HOUR_MS)
    log.serve(1_000, 3_000)
    log.serve(1_000, 1_001)
    fold = fold_of(options=fold_options(profiles=True))

    told = [record for record in folded(fold, log.records) if b"/performance/" in (record.key or b"")]

    cohorts = [msgspec.json.decode(record.value or b"", type=CohortRow) for record in told]
    assert [told[0].key, told[0].topic] == [f"{MODEL}/v1/performance/all".encode(), TOPICS.profiles]
    assert [row.state for row in cohorts] == ["final"] * len(cohorts)
    assert [row.n_labelled for row in cohorts if row.segment == "all"] == [600, 0]
    assert cohorts[0] == watch_of(fold).cohort_rows(fold.log_time)[0]
    assert watch_of(fold).figures().performance == [row for row in cohorts if row.segment == "all"][-1]


def test_a_report_has_windows_and_cohorts_of_its_own_size_and_detection_keeps_its_own() -> None:
    log = Log(rows(6_000, drift_at=3_000))
    log.serve(0, 6_000)
    sink = ListSink()
    fold = fold_of(sink=sink, options=fold_options(report_rows=1_500))

    told = folded(fold, log.records)

    found = {(row.first_served_row, row.last_served_row) for row in sink.windows if row.segment == "all"}
    assert found == {(0, 1_499), (1_500, 2_999), (3_000, 4_499), (4_500, 5_999)}
    cohorts = [row for row in watch_of(fold).cohort_rows(START_MS) if row.segment == "all"]
    assert [(row.cohort_start_row, row.cohort_end_row) for row in cohorts] == sorted(found)
    assert told == folded(fold_of(), log.records)


def test_a_cohort_is_final_once_its_horizon_has_passed_in_both_times() -> None:
    log = Log(rows(4_000))
    log.serve(0, 4_000)
    fold = fold_of()
    folded(fold, log.records)
    watch = watch_of(fold)
    horizon = publication().definition.spec.horizon_ms

    def states(log_time: int) -> list[str]:
        return [row.state for row in watch.cohort_rows(log_time) if row.segment == "all"]

    last_of_first = START_MS + 949 * HOUR_MS  # stream time is a median, so it runs 50 rows behind
    assert states(last_of_first + horizon) == ["provisional"] * 4
    assert states(last_of_first + horizon + 1) == ["final"] + ["provisional"] * 3
    assert states(2**62)[-1] == "provisional"


def test_versions_are_watched_on_their_own() -> None:
    log = Log(rows(4_000, drift_at=2_000))
    log.serve(0, 2_000, model_version="v1")
    log.serve(2_000, 4_000, model_version="v2")
    fold = fold_of()

    told = incidents(folded(fold, log.records))

    assert {data.model_version for _, data in told} == {"v2"}
    assert (watch_of(fold, "v1").rows_served, watch_of(fold, "v2").rows_served) == (2_000, 2_000)
    assert told[0][1].onset.row < 50


def test_labels_of_a_version_whose_predictions_were_never_seen_are_counted_and_place_its_loss() -> None:
    log = Log(rows(2_000, error_rate=0.6))
    log.serve(0, 2_000)
    log.label(0, 2_000, model_version="v2")
    fold = fold_of()

    told = incidents(folded(fold, log.records))

    assert watch_of(fold, "v2").rows_labelled == 2_000
    assert watch_of(fold, "v2").cohort_rows(START_MS) == []
    onset, detected = told[0][1].onset, told[0][1].detected
    assert (onset.row, detected.row) == (0, 0)
    assert 0 <= onset.offset <= detected.offset < 50


def test_a_block_without_rows_is_corrupt() -> None:
    log = Log(rows(1))
    log.put(Block(BlockKind.SERVED, MODEL, "v1", publication().definition.stamp(1, "key")))

    with pytest.raises(Corrupt, match=f"a served block of {MODEL} has no rows"):
        folded(fold_of(), log.records)
