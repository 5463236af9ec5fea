"""Shares of segments and labels: what moved is the mix, and nothing inside it; or the labels."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.cli.publication import Publication
from services.cli.verify.recount import recount
from services.detector import baseline as baselines
from services.detector.baseline_build import build_baseline
from services.detector.mixes.reference import Mix
from services.detector.mixes.watch import MixWatch
from services.detector.structs import FloatArray, decode_struct, encode_struct
from shared.events.alert import Action, Incident, IncidentEvent, IncidentKind, LossCause, Severity
from shared.monitors import AlertsSpec
from tests.kit.references import HOUR_MS, hours, loans, spec
from tests.kit.traffic import MODEL, Log, fold_of, fold_options, folded, incidents, publication

OPENED = IncidentEvent.OPENED
MIX, LOSS, DATA = IncidentKind.TRAFFIC_MIX, IncidentKind.PERFORMANCE_DEGRADATION, IncidentKind.DATA_DRIFT
LABELS = IncidentKind.LABEL_DRIFT


def branches(
    rows: int, seed: int, web: float, error: tuple[float, float] = (0.05, 0.3), shift: float = 1.0
) -> pa.Table:
    """Return loans of two channels, each with amounts and errors of its own; `shift` times the amounts of the web's."""
    rng = np.random.default_rng(seed)
    table = loans(rows, seed)
    is_web = rng.random(rows) < web
    wrong = rng.random(rows) < np.where(is_web, *error)
    label = np.where(wrong, 1 - table["prediction"].to_numpy(), table["prediction"].to_numpy())
    amount = rng.lognormal(8, 1, rows) * np.where(is_web, shift, 8.0)
    for name, values in (
        ("amount", amount),
        ("label", label),
        ("seg_channel", np.where(is_web, "web", "branch")),
    ):
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    return table


@cache
def branch_publication() -> Publication:
    chosen = spec(segments=["channel"], alerts=AlertsSpec(false_pages_per_month=10.0), label_horizon="30d")
    return Publication.of(MODEL, chosen, build_baseline(MODEL, chosen, branches(20_000, 11, 0.8)))


def told_of(table: pa.Table, cut: int = 2_000) -> list[tuple[IncidentEvent, Incident]]:
    log = Log(table, stamped=branch_publication())
    for start in range(0, table.num_rows, 2_000):
        log.serve(start, start + 2_000, cut=cut)
        log.label(start, start + 2_000, cut=cut)
    return incidents(folded(fold_of(branch_publication()), log.records))


def last_states(told: list[tuple[IncidentEvent, Incident]]) -> list[Incident]:
    return list({data.incident_id: data for _, data in told}.values())


@cache
def simpson() -> tuple[tuple[IncidentEvent, Incident], ...]:
    """Return what is told when the channel moves in which the model always erred more."""
    return tuple(told_of(pa.concat_tables([branches(4_000, 1, 0.8), branches(8_000, 2, 0.2)])))


def test_errors_that_rise_because_the_shares_of_segments_moved_are_a_mix_and_no_concept_drift() -> None:
    (drift, loss) = sorted(last_states(list(simpson())), key=lambda data: bool(data.loss_parts))

    assert (loss.kind, loss.kinds, loss.severity) == (MIX, [MIX, LOSS], Severity.WARNING)
    assert loss.recommended_action is Action.HOLD
    assert loss.cause.endswith(
        "the model is as good as before in each segment of channel; their shares of the traffic moved"
    )
    by_channel = loss.loss_parts[-1]
    assert (by_channel.by, by_channel.verdict) == ("channel", LossCause.COVARIATE)
    assert [part.name for part in by_channel.bins] == ["channel=branch", "channel=web", "channel=__other__"]
    assert (drift.kind, drift.severity, drift.recommended_action) == (MIX, Severity.WARNING, Action.HOLD)
    assert {culprit.feature for culprit in drift.culprits} == {"amount", "channel"}
    assert drift.cause == "only the shares of segments moved, and nothing inside them: amount, channel"


def test_no_event_of_a_mix_asks_for_a_retraining_once_its_segments_are_known() -> None:
    losses = [data for _, data in simpson() if data.loss_parts]

    assert {data.recommended_action for data in losses} == {Action.HOLD}
    assert all(IncidentKind.CONCEPT_DRIFT not in data.kinds for data in losses)


def test_a_mix_is_told_alike_wherever_blocks_end() -> None:
    def nameless(told: list[tuple[IncidentEvent, Incident]]) -> list[tuple[IncidentEvent, Incident]]:
        return [(event, msgspec.structs.replace(data, incident_id="")) for event, data in told]

    table = pa.concat_tables([branches(4_000, 1, 0.8), branches(8_000, 2, 0.2)])

    assert nameless(told_of(table, cut=300)) == nameless(list(simpson()))


def test_what_moves_inside_a_segment_is_a_drift_whatever_the_shares_do() -> None:
    told = told_of(pa.concat_tables([branches(4_000, 1, 0.8), branches(8_000, 2, 0.2, shift=40.0)]))

    drift = next(data for data in last_states(told) if not data.loss_parts)

    assert drift.kind is DATA
    assert {culprit.feature for culprit in drift.culprits} == {"amount"}


def test_a_loss_inside_every_segment_is_concept_drift_whatever_the_shares_do() -> None:
    table = pa.concat_tables([branches(4_000, 1, 0.8), branches(8_000, 2, 0.75, error=(0.3, 0.6))])

    loss = next(data for data in last_states(told_of(table)) if data.loss_parts)

    assert loss.kind is IncidentKind.CONCEPT_DRIFT
    assert (loss.severity, loss.recommended_action) == (Severity.CRITICAL, Action.RETRAIN)


def test_every_number_of_a_mix_follows_from_its_counts() -> None:
    published = branch_publication()
    baseline = baselines.decode(published.baseline)

    found = [number for event, data in simpson() for number in recount(event, data, published.definition, baseline)]

    assert [number for number in found if number.differs] == []
    assert {number.name for number in found if number.of == "channel in all, segment_shares"} >= {
        "value (psi_debiased)",
        "noise_floor",
        "p_value",
        "threshold",
    }


def reference(**changes: object) -> list[Mix]:
    return build_baseline("m", spec(**changes), loans(12_000)).mixes


def test_the_reference_counts_dimensions_that_are_no_feature_and_labels() -> None:
    channel, label = reference(segments=["channel", "region", ["channel", "region"]])

    assert (channel.name, channel.names) == ("channel", ["channel=branch", "channel=web", "channel=__other__"])
    assert (channel.reason, channel.place, channel.first_cell) == ("", 1, 1)
    assert (label.name, label.names, int(label.counts.sum()), label.reason) == ("label", ["0", "1"], 12_000, "")
    assert 1.0 <= label.phi < 2.0


def test_a_thin_reference_says_why_its_labels_do_not_page() -> None:
    (label,) = build_baseline("m", spec(), loans(6_000)).mixes

    assert label.reason == "reference is thin (6000 rows; needs 10000)"


def watch(table: pa.Table | None = None, **changes: object) -> MixWatch:
    return MixWatch(build_baseline("m", spec(**changes), loans(12_000) if table is None else table), 10.0, 1_000)


def labelled(found: MixWatch, number: int, positives: int, rows: int = 1_000) -> None:
    found.label(np.full(rows, number), (np.arange(rows) < positives).astype(np.float64))


def test_a_final_cohort_of_other_labels_is_a_label_drift() -> None:
    found = watch()
    labelled(found, 0, 500)
    labelled(found, 1, 800)

    (calm,), (moved,) = (found.finish(number * 1_000, 4_000) for number in (0, 1))

    assert (calm.detected, calm.row) == ([], 4_000)
    (culprit,) = moved.detected
    assert (culprit.feature, culprit.detector, culprit.window_start_row) == ("label", "label_shares", 1_000)
    assert [(part.name, part.count) for part in culprit.bins] == [("0", 200), ("1", 800)]
    assert found.state.cohorts == {}


def test_labels_that_are_taken_back_or_mostly_missing_say_nothing() -> None:
    found = watch()
    labelled(found, 0, 800)
    found.label(np.full(300, 0), np.ones(300), -1)
    found.label(np.full(300, 0), np.zeros(300))
    labelled(found, 1, 400, rows=400)

    ((corrected,), missing) = (found.finish(number * 1_000, 4_000) for number in (0, 1))

    assert (corrected.detected, missing) == ([], [])
    assert found.finish(7_000, 9_000) == []


def numbers(values: FloatArray) -> pa.Table:
    return pa.table({"ts": hours(len(values)), "prediction": values, "label": values})


def test_labels_of_a_regression_are_counted_by_the_tenths_of_the_reference() -> None:
    rng = np.random.default_rng(8)
    found = watch(numbers(rng.normal(50, 10, 12_000)), task="regression", positive_class=None)
    found.label(np.zeros(1_000, np.int64), rng.normal(60, 10, 1_000))
    found.label(np.zeros(3, np.int64), np.full(3, np.nan))

    (moved,) = found.finish(0, 1_500)

    assert [culprit.feature for culprit in moved.detected] == ["label"]
    assert sum(part.count for part in moved.detected[0].bins) == 1_000


@pytest.mark.parametrize("cut", [1, 300, 999, 2_500])
def test_windows_of_segments_close_at_the_same_rows_wherever_blocks_end(cut: int) -> None:
    found = watch(segments=["channel"])
    cells = np.column_stack([np.zeros(2_500), 1 + (np.arange(2_500) % 10 < 9)]).astype(np.int32)

    told = [window for start in range(0, 2_500, cut) for window in found.served(cells[start : start + cut], start)]

    assert [(window.row, len(window.detected)) for window in told] == [(999, 1), (1_999, 1)]
    assert [part.count for part in told[0].detected[0].bins] == [100, 900, 0]


def test_counts_survive_a_checkpoint() -> None:
    found = watch(segments=["channel"])
    labelled(found, 3, 700)
    found.served(np.column_stack([np.zeros(700), np.ones(700)]).astype(np.int32), 0)
    restored = watch(segments=["channel"])
    restored.state = decode_struct(encode_struct(found.state), type(found.state))

    assert encode_struct(restored.state) == encode_struct(found.state)
    assert restored.state.filled == 700
    assert len(restored.finish(3_000, 9_000)) == 1


def test_label_drift_opens_an_incident_at_the_row_by_which_no_label_can_come() -> None:
    """Rows are an hour apart and labels wait for 30 days: a cohort is final 720 rows after its last one."""
    early, late = loans(3_000, 21), loans(5_000, 22)
    keep = np.flatnonzero((late["label"].to_numpy() == 1) | (np.arange(5_000) % 4 == 0))
    log = Log(pa.concat_tables([early, late.take(pa.array(keep[:2_000])), loans(3_000, 23)]), stamped=publication())
    for start in range(0, 8_000, 1_000):
        log.serve(start, start + 1_000)
        log.label(start, start + 1_000)
        log.tick(after_ms=1_000 * HOUR_MS)

    told = incidents(folded(fold_of(options=fold_options(watch_silence=False)), log.records))

    moved = next(data for _, data in told if LABELS in data.kinds)
    (label,) = (culprit for culprit in moved.culprits if culprit.feature == "label")
    assert (label.window_start_row, label.window_end_row) == (3_000, 3_999)
