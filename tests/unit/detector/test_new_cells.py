"""Segments that the log brings: what is seen of them, what they learn, and when they are forgotten."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.cli.publication import Publication
from services.detector.admission import GRACE_MS
from services.detector.figures import NewFigures
from services.detector.partition import PartitionFold
from services.detector.report import ListSink, WindowRow
from shared.events.alert import Incident, IncidentEvent, IncidentKind
from shared.events.block import decode
from shared.rules import RuleSpec
from tests.kit.traffic import (
    MINUTE_MS,
    SPEC,
    START_MS,
    Log,
    fold_of,
    fold_options,
    folded,
    heartbeats,
    incidents,
    published_as,
    rows,
    watch_of,
)

DAY_MS = 86_400_000
NEW = "channel=app"


def by_channel(table: pa.Table, channels: Iterable[str]) -> pa.Table:
    """Return the rows in other channels."""
    place = table.schema.get_field_index("seg_channel")
    return table.set_column(place, "seg_channel", pa.array(list(channels), pa.string()))


def app(count: int, seed: int = 1, *, drift_at: int | None = None) -> pa.Table:
    """Return rows of which two of three are of a channel that the reference does not hold."""
    return by_channel(rows(count, seed, drift_at=drift_at), (["app", "app", "web"] * count)[:count])


def of_new(sink: ListSink, signal: str = "amount") -> list[WindowRow]:
    return [row for row in sink.windows if (row.segment, row.signal) == (NEW, signal)]


def configured(**changes: object) -> Publication:
    return published_as(msgspec.structs.replace(SPEC, **changes))


@pytest.fixture(scope="module")
def drifted() -> tuple[ListSink, list[tuple[IncidentEvent, Incident]], PartitionFold]:
    """What is said of 12,000 rows, of which the last 3,000 have drifted."""
    log = Log(app(12_000, drift_at=9_000))
    log.serve(0, 12_000)
    sink = ListSink()
    fold = fold_of(sink=sink)
    return sink, incidents(folded(fold, log.records)), fold


def test_windows_of_a_new_cell_are_compared_with_the_first_ten(
    drifted: tuple[ListSink, list[tuple[IncidentEvent, Incident]], PartitionFold],
) -> None:
    windows = of_new(drifted[0])

    assert [row.window_start_row for row in windows] == list(range(0, 8_000, 500))
    assert [sum(row.reference_counts) for row in windows] == [0] * 10 + [5_000] * 6
    assert [row.psi is None for row in windows] == [True] * 10 + [False] * 6
    assert windows[10].reference_counts == np.sum([row.counts for row in windows[:10]], axis=0).tolist()
    assert all(row.mean is not None and row.q95 is not None for row in windows)
    assert (
        max(row.verdict_psi_debiased or 0.0 for row in windows[10:12]) < 0.1 < (windows[13].verdict_psi_debiased or 0)
    )
    assert (windows[0].first_served_row, windows[0].last_served_row, windows[1].first_served_row) == (0, 748, 749)


def test_a_drift_in_a_cell_that_has_learned_is_named(
    drifted: tuple[ListSink, list[tuple[IncidentEvent, Incident]], PartitionFold],
) -> None:
    _, told, fold = drifted

    watched = watch_of(fold)
    assert watched.new_cells.not_armed == {}
    assert watched.armed_segments == 3 / 4  # all but `__other__`, of which the reference has no row
    assert [event for event, _ in told].count(IncidentEvent.OPENED) == 1
    assert told[-1][1].blast_radius["all"] == 1.0


def test_a_new_cell_pages_when_it_alone_moves() -> None:
    table = rows(14_000, 3)
    amount, at = table["amount"].to_numpy(), np.arange(14_000)
    small = np.where((at >= 11_000) & (amount < np.median(amount)), "kiosk", "app")
    log = Log(by_channel(table, np.where(at % 2 == 0, small, "web")))
    log.serve(0, 14_000)

    told = incidents(folded(fold_of(), log.records))

    segments = {culprit.segment for _, data in told for culprit in (*data.culprits, *data.inside_segments)}
    assert segments == {NEW}


def replay(cut: int, report_rows: int | None, resumed: int | None = None) -> tuple[object, ...]:
    """Return what a log says in blocks of `cut` rows to a fold that resumes before a record."""
    log, sink = Log(app(9_000, drift_at=8_300)), ListSink()
    for start in range(0, 9_000, 1_000):
        log.serve(start, start + 1_000, cut=cut)
        log.label(start, start + 1_000, cut=cut)
    fold, said = fold_of(sink=sink, options=fold_options(report_rows)), []
    for number, record in enumerate(log.records):
        if number == resumed:
            state = fold.snapshot()
            fold = fold_of(sink=sink, options=fold_options(report_rows))
            fold.restore(state)
            assert fold.snapshot() == state
        said += fold.fold(record)
    told = [(event, msgspec.structs.replace(data, incident_id="")) for event, data in incidents(said)]
    return told, sink.windows, watch_of(fold).cohort_rows(START_MS)


@cache
def replayed_in_thousands(report_rows: int | None) -> tuple[object, ...]:
    return replay(1_000, report_rows)


@pytest.mark.parametrize("report_rows", [None, 700])
@pytest.mark.parametrize("cut", [7, 333, 2_000])
def test_what_is_told_depends_neither_on_blocks_nor_on_where_a_fold_resumes(cut: int, report_rows: int | None) -> None:
    expected = replayed_in_thousands(report_rows)

    assert replay(cut, report_rows, resumed=9_000 // cut) == expected
    assert any(row.segment == NEW and sum(row.reference_counts) for row in expected[1])  # type: ignore[attr-defined]


def test_labels_are_counted_where_their_predictions_were() -> None:
    stamped = configured(new_segments=1)
    log = Log(by_channel(rows(3_000), ["kiosk"] * 200 + ["app"] * 1_300 + ["app"] * 1_500), stamped)
    log.serve(0, 1_500)
    log.tick(after_ms=31 * DAY_MS)
    log.label(0, 10)
    log.tick(after_ms=7 * DAY_MS)
    log.serve(1_500, 3_000)  # `kiosk` has not come for long: `app` takes its slot
    log.label(1_000, 2_000)
    fold = fold_of(stamped)
    folded(fold, log.records)

    found = {
        (row.segment, row.cohort_start_row): (row.n_predicted, row.n_labelled)
        for row in watch_of(fold).cohort_rows(START_MS)
        if row.segment != "all"
    }

    assert found == {
        ("channel=__other__", 0): (500, 0),
        ("channel=__other__", 500): (500, 200),
        (NEW, 0): (500, 500),
        (NEW, 500): (500, 0),
        (NEW, 1_000): (500, 0),
    }


def test_rows_are_found_where_they_were_counted_though_a_cell_was_free_later() -> None:
    stamped = configured(new_segments=1)
    log = Log(by_channel(rows(1_000), ["kiosk"] * 200 + ["app"] * 800), stamped)
    log.serve(0, 600, cut=300)
    log.tick(after_ms=38 * DAY_MS)
    log.serve(600, 1_000)  # `kiosk` has not come for long: `app` takes its slot
    fold = fold_of(stamped)
    folded(fold, log.records)

    blocks = [decode(record) for record in log.records if decode(record).batch is not None]
    found = [
        [sorted({segment for segment, _ in row} - {"all"}) for row in watch_of(fold).cohort_cells(block)]
        for block in blocks
    ]

    assert found[1] == [["channel=__other__"]] * 300
    assert found[2] == [["channel=app"]] * 400


def test_heartbeats_say_what_learns() -> None:
    log = Log(by_channel(rows(2_000), (f"c{row % 25:02}" for row in range(2_000))))
    log.serve(0, 2_000)
    log.tick(after_ms=2 * MINUTE_MS)

    (heartbeat,) = heartbeats(folded(fold_of(), log.records))

    assert heartbeat.not_armed["channel=c00"] == "new: 0 of the 10 windows of its reference"
    assert heartbeat.not_armed["new segments"] == "5 more learn their reference"
    assert len([name for name in heartbeat.not_armed if name.startswith("channel=")]) == 20
    assert heartbeat.armed_segments < 0.1


def test_a_cell_that_is_forgotten_ends_what_it_led_and_begins_anew() -> None:
    rule = "count(amount, channel=app) > 0"
    stamped = configured(alerts=msgspec.structs.replace(SPEC.alerts, rules=[RuleSpec(when=rule)]))
    table = by_channel(rows(3_000), ["app"] * 1_200 + ["web"] * 1_000 + ["app"] * 800)
    log = Log(table, stamped)
    log.serve(0, 1_200)
    log.tick(after_ms=30 * DAY_MS + GRACE_MS + 1)
    log.serve(1_200, 3_000)
    sink = ListSink()

    told = incidents(folded(fold_of(stamped, sink=sink), log.records))

    assert [(event, data.detected.row) for event, data in told if data.kind is not IncidentKind.TRAFFIC_MIX] == [
        (IncidentEvent.OPENED, 499),
        (IncidentEvent.RESOLVED, 499),
        (IncidentEvent.OPENED, 2_699),
    ]
    assert [data.detected.row for _, data in told if data.kind is IncidentKind.TRAFFIC_MIX] == [999]  # all are new
    windows = of_new(sink)
    assert [(row.window_start_row, row.first_served_row) for row in windows] == [(0, 0), (500, 500), (0, 2_200)]
    assert windows[2].n == 500
    assert windows[2].mean == pytest.approx(table["amount"].to_numpy()[2_200:2_700].mean())


def test_thousands_of_new_cells_are_watched_in_a_bounded_state() -> None:
    stamped = configured(new_segments=2_000)
    log = Log(by_channel(rows(6_000), (f"c{row % 2_500:04}" for row in range(6_000))), stamped)
    log.serve(0, 6_000)
    fold, again = fold_of(stamped), fold_of(stamped)
    folded(fold, log.records[:2])
    again.restore(fold.snapshot())

    assert folded(fold, log.records[2:]) == folded(again, log.records[2:])
    assert watch_of(fold).figures().new_cells == NewFigures(2_000, 2_000, admitted=2_000, evicted=0, refused=1_000)
    assert watch_of(fold).figures().rows_other == 1_000
    assert len(fold.snapshot()) == len(again.snapshot()) < 16 << 20
