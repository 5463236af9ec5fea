"""What a turned relation leads to, though every column is as it was."""

from __future__ import annotations

import math

import msgspec
import pyarrow as pa
import pytest

from services.cli.publication import Publication
from services.detector.report import ListSink, WindowRow
from shared.events.alert import Action, Incident, IncidentEvent, IncidentKind, Severity
from tests.kit.pairs import PAIR, pair_baseline, pair_publication, published_of, related
from tests.kit.traffic import Log, fold_of, fold_options, folded, heartbeats, incidents, names, watch_of

OPENED, UPDATED, RESOLVED = IncidentEvent.OPENED, IncidentEvent.UPDATED, IncidentEvent.RESOLVED
DATA, CONCEPT = IncidentKind.DATA_DRIFT, IncidentKind.CONCEPT_DRIFT
Told = list[tuple[IncidentEvent, Incident]]


def log_of(table: pa.Table, published: Publication, *, cut: int = 2_000, labels: bool = True) -> Log:
    """Return a log that labels every thousand rows as soon as they are served."""
    log = Log(table, stamped=published)
    for start in range(0, len(table), 1_000):
        stop = min(start + 1_000, len(table))
        log.serve(start, stop, cut=cut)
        if labels:
            log.label(start, stop, cut=cut)
    return log


def replay(log: Log, published: Publication) -> tuple[Told, list[WindowRow]]:
    """Return what the log leads to."""
    sink = ListSink()
    told = incidents(folded(fold_of(published, sink=sink), log.records))
    return told, sink.windows


def pair_rows(windows: list[WindowRow], name: str) -> list[WindowRow]:
    return [row for row in windows if row.signal == name]


def turned(rows: int = 9_000, turns_at: int = 3_000) -> pa.Table:
    """Return rows whose relation turns and comes back 3,000 rows later."""
    moved = related(turns_at + 3_000, 1, turns_at=turns_at)
    return pa.concat_tables([moved, related(rows - len(moved), 2)])


def test_a_turned_correlation_with_the_same_columns_is_one_incident_that_names_the_pair() -> None:
    told, _ = replay(log_of(turned(), pair_publication()), pair_publication())

    assert [event for event, _ in told] == [OPENED, RESOLVED]
    (_, opened), (_, resolved) = told
    assert (opened.kind, opened.kinds, opened.severity) == (DATA, [DATA], Severity.WARNING)
    assert names(opened.culprits) == names(resolved.culprits) == {PAIR}
    assert opened.inside_segments == []
    assert (opened.onset.row, opened.detected.row, resolved.culprits[0].window_end_row) == (3_000, 3_999, 5_999)
    assert opened.cause == f"the inputs changed: {PAIR}"
    assert opened.chance_per_week < 1e-9
    (culprit,) = opened.culprits
    assert (culprit.detector, culprit.statistic, culprit.threshold) == ("correlation", "pearson_delta", 0.1)
    assert culprit.value == pytest.approx(-1.2, abs=0.06)
    references = pair_baseline().pairs
    assert references is not None
    reference = references.correlations[0].pearson
    error = math.sqrt(reference.phi * (1 / 997 + 1 / 19_997))
    assert culprit.noise_floor == pytest.approx((1 - (reference.r or 0.0) ** 2) * error)
    assert (culprit.window_rows, culprit.bins) == (1_000, [])


def test_a_table_alone_finds_it_too_and_shows_where() -> None:
    published = published_of(related(20_000, 100), pairs=None)

    told, _ = replay(log_of(related(4_000, 1, turns_at=3_000), published, labels=False), published)

    ((event, opened),) = told
    (culprit,) = opened.culprits
    assert (event, culprit.feature) == (OPENED, PAIR)
    assert (culprit.detector, culprit.statistic) == ("joint", "psi_debiased")
    assert culprit.value > 1.0
    assert (len(culprit.bins), sum(found.count for found in culprit.bins)) == (25, 1_000)
    least = min(culprit.bins, key=lambda found: found.count * 20 - found.reference_count)
    assert least.name in {"(-inf, -0.8378] × (-inf, -0.8389]", "(0.862, inf] × (0.8671, inf]"}
    assert least.count < least.reference_count / 20 / 10


@pytest.mark.parametrize("seed", range(10))
def test_streams_without_a_change_open_nothing(seed: int) -> None:
    log = log_of(related(6_000, 200 + seed), pair_publication())

    told, windows = replay(log, pair_publication())

    assert told == []
    assert len(pair_rows(windows, PAIR)) == 6


def test_a_column_that_moves_alone_is_named_without_its_pairs() -> None:
    table = related(5_000, 4, r=0.0)
    published = published_of(related(20_000, 101, r=0.0), joint=[("amount", "term")])
    amount = table["amount"].to_numpy().copy()
    amount[2_000:] += 1.0
    table = table.set_column(table.schema.get_field_index("amount"), "amount", pa.array(amount))

    told, _ = replay(log_of(table, published), published)

    assert told[0][0] is OPENED
    assert {name for _, data in told for name in names(data.culprits)} == {"amount"}


def test_a_label_that_turns_against_a_feature_is_concept_drift() -> None:
    published = pair_publication(truth=1.0)
    table = related(6_000, 5, truth=1.0, turns_at=3_000)
    steady = related(6_000, 5, truth=1.0)
    for name in ("amount", "term"):
        table = table.set_column(table.schema.get_field_index(name), name, steady[name])
    log = Log(table, stamped=published)
    log.serve(0, 6_000)
    log.label(0, 6_000)

    told, windows = replay(log, published)

    concept = next(data for _, data in told if "amount × label" in names(data.culprits))
    assert concept.kinds == [DATA, CONCEPT]  # the model, which has learned of it, answers otherwise as well
    (first,) = [culprit for culprit in concept.culprits if culprit.feature == "amount × label"]
    assert (first.window_start_row, first.window_end_row) == (3_000, 5_999)
    rows = pair_rows(windows, "amount × label")
    assert [(row.window_start_row, row.window_end_row, row.n) for row in rows] == [
        (start, start + 999, 1_000) for start in range(0, 6_000, 1_000)
    ]
    assert [abs(row.pearson_delta or 0.0) > 0.5 for row in rows] == [False] * 3 + [True] * 3


def test_concept_drift_alone_says_so_and_asks_for_a_retraining() -> None:
    published = pair_publication(truth=1.0)
    table = related(4_000, 5, truth=1.0)
    log = Log(table, stamped=published)
    log.serve(0, 4_000)
    log.relabel(related(4_000, 7)["label"].to_numpy())  # the truth forgets the inputs, and errors become many
    log.label(0, 4_000)

    told, _ = replay(log, published)

    concept = next(data for event, data in told if event is OPENED and data.kinds == [CONCEPT])
    assert concept.cause.startswith("labels go otherwise with the inputs: amount × ")
    assert concept.recommended_action is Action.RETRAIN
    loss = next(data for event, data in told if event is OPENED and data is not concept)
    assert loss.kinds == [CONCEPT, IncidentKind.PERFORMANCE_DEGRADATION]


def nameless(told: Told) -> Told:
    """Return incidents without the id, which names the block."""
    return [(event, msgspec.structs.replace(data, incident_id="")) for event, data in told]


@pytest.mark.parametrize("cut", [7, 333])
def test_how_rows_are_cut_into_blocks_changes_nothing_but_ids(cut: int) -> None:
    table, published = turned(6_500), pair_publication()

    told, windows = replay(log_of(table, published, cut=cut), published)

    expected, expected_windows = replay(log_of(table, published), published)
    assert nameless(told) == nameless(expected)
    assert windows == expected_windows


def test_a_restart_at_any_block_changes_nothing() -> None:
    published = pair_publication()
    log = log_of(turned(6_500), published, cut=400)
    whole = fold_of(published)
    expected = folded(whole, log.records)

    walker, told = fold_of(published), []
    for record in log.records:
        resumed = fold_of(published)
        resumed.restore(walker.snapshot())
        told += resumed.fold(record)
        walker = resumed

    assert told == expected
    assert walker.snapshot() == whole.snapshot()


def test_windows_of_pairs_are_told_of_under_their_name() -> None:
    published = pair_publication()
    log = log_of(related(1_000, 6), published)
    sink = ListSink()

    told = folded(fold_of(published, sink=sink, options=fold_options(profiles=True)), log.records)

    (row,) = pair_rows(sink.windows, PAIR)
    assert f"loans/v1/{PAIR}/all".encode() in {message.key for message in told}
    assert (row.segment, row.window_start_row, row.window_end_row, row.n) == ("all", 0, 999, 1_000)
    assert (len(row.bins), sum(row.counts), sum(row.reference_counts)) == (25, 1_000, 20_000)
    assert row.pearson is not None
    assert row.pearson_delta is not None
    assert row.pearson - row.pearson_delta == pytest.approx(0.602, abs=0.001)
    (unlike,) = pair_rows(sink.windows, "amount × label")
    assert (unlike.bins, unlike.psi, unlike.p_value) == ([], None, None)


def test_pairs_are_told_of_whatever_the_size_of_report_windows() -> None:
    published = pair_publication()
    sink = ListSink()

    folded(fold_of(published, sink=sink, options=fold_options(400)), log_of(related(2_000, 6), published).records)

    assert [row.window_end_row for row in pair_rows(sink.windows, PAIR)] == [999, 1_999]
    assert [row.window_end_row for row in pair_rows(sink.windows, "amount")] == [399, 799, 1_199, 1_599, 1_999]


def test_what_is_kept_of_features_is_shown_and_what_does_not_page_is_in_heartbeats() -> None:
    published = published_of(related(9_000, 3))
    log = log_of(related(1_000, 6), published)
    log.tick(after_ms=10 * 60_000)
    fold = fold_of(published)

    told = folded(fold, log.records)

    assert watch_of(fold).figures().rings["served_values"].entries == 1_000
    (heartbeat,) = heartbeats(told)
    assert heartbeat.not_armed["amount × label"] == "reference is thin (9000 rows; needs 10000)"
