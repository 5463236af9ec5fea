"""What named detectors tell of a model's traffic and labels, and what they leave alone."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from river import drift

from services.cli.publication import Publication
from services.detector.advisory.watch import QUIET
from services.detector.baseline import Column, decode
from services.detector.ranks import Ranking, normal_scores
from shared.detectors import DetectorSpec
from shared.events.alert import Incident, IncidentEvent, IncidentKind, Severity
from tests.kit.traffic import SPEC, Log, fold_of, folded, incidents, published_as, rows

OPENED, RESOLVED = IncidentEvent.OPENED, IncidentEvent.RESOLVED
CONCEPT, DATA = IncidentKind.CONCEPT_DRIFT, IncidentKind.DATA_DRIFT
ON_AMOUNT = DetectorSpec(name="hddm_a", signal="amount")
ON_ERRORS = DetectorSpec(name="hddm_a", signal="error")
OF_RIVER = DetectorSpec(name="river.drift.PageHinkley", signal="amount", parameters={"threshold": 80.0})
KSWIN = DetectorSpec(name="river.drift.KSWIN", signal="amount", parameters={"alpha": 1e-4})  # 200 times as slow
ALL_OF_THEM = [
    ON_AMOUNT,
    ON_ERRORS,
    OF_RIVER,
    DetectorSpec(name="page_hinkley", signal="term"),
    DetectorSpec(name="adwin", signal="amount"),
    DetectorSpec(name="adwin", signal="false_positive"),
    DetectorSpec(name="river.drift.binary.DDM", signal="error"),
]


def advised(*detectors: DetectorSpec) -> Publication:
    return published_as(msgspec.structs.replace(SPEC, detectors=list(detectors)))


def changing(count: int = 8_000, start: int = 2_000, stop: int = 3_000) -> pa.Table:
    """Return rows of which a stretch has ten times the amount, and answers that are half of them wrong."""
    table, row = rows(count), np.arange(count)
    inside = (row >= start) & (row < stop)
    amount = table["amount"].to_numpy() * np.where(inside, 10.0, 1.0)
    label = np.where(inside & (row % 2 == 0), 1 - table["label"].to_numpy(), table["label"].to_numpy())
    for name, values in (("amount", amount), ("label", label)):
        table = table.set_column(table.schema.get_field_index(name), name, pa.array(values))
    return table


def told(
    table: pa.Table, *detectors: DetectorSpec, cut: int = 2_000, is_restored: bool = False
) -> list[tuple[IncidentEvent, Incident]]:
    """Return what is told of a table and its labels; each fold begins anew if restored."""
    published = advised(*detectors)
    log = Log(table, published)
    log.serve(0, table.num_rows, cut=cut)
    log.label(0, table.num_rows, cut=cut)
    fold, found = fold_of(published), []
    for record in log.records:
        found += folded(fold, [record])
        if is_restored:
            state, fold = fold.snapshot(), fold_of(published)
            fold.restore(state)
            assert fold.snapshot() == state
    return incidents(found)


def by_name(found: list[tuple[IncidentEvent, Incident]]) -> list[tuple[IncidentEvent, Incident]]:
    return [(event, data) for event, data in found if data.culprits[0].detector.startswith("advisory:")]


def nameless(found: list[tuple[IncidentEvent, Incident]]) -> list[tuple[IncidentEvent, Incident]]:
    """Return incidents without what names their configuration or their block."""
    return [(event, msgspec.structs.replace(data, incident_id="", configuration_hash="")) for event, data in found]


def test_a_detector_of_a_number_tells_since_when_and_never_pages() -> None:
    (opened, data), (resolved, last) = by_name(told(changing(), ON_AMOUNT))
    (culprit,) = data.culprits

    assert (opened, resolved) == (OPENED, RESOLVED)
    assert (data.kind, data.severity, data.recommended_action) == (DATA, Severity.INFO, "investigate")
    assert data.cause == "the detector hddm_a on amount found a change"
    assert data.by_chance_once_in == "unknown: a named detector is not calibrated"
    assert (culprit.detector, culprit.statistic, culprit.threshold) == ("advisory:hddm_a", "mean_rank", 0.5)
    assert 1_950 <= data.onset.row < 2_050 < data.detected.row < 2_300
    assert culprit.value > 0.6
    assert culprit.window_rows == data.detected.row - data.onset.row + 1
    assert last.detected == data.detected
    assert last.rows_affected > QUIET


def test_a_detector_of_errors_points_at_the_prediction_of_the_label() -> None:
    (_, data), *_ = by_name(told(changing(), ON_ERRORS))
    (culprit,) = data.culprits

    assert (data.kind, data.severity) == (CONCEPT, Severity.INFO)
    assert (culprit.feature, culprit.statistic) == ("error", "rate")
    assert culprit.threshold == pytest.approx(0.1, abs=0.01)
    assert culprit.value > 0.2
    assert 1_900 <= data.onset.row <= data.detected.row < 2_200
    assert data.detected.offset == data.detected.row


def test_a_detector_of_river_does_not_say_since_when() -> None:
    (_, data), *_ = by_name(told(changing(), OF_RIVER))

    assert data.onset == data.detected
    assert 2_000 <= data.detected.row < 2_200
    assert data.culprits[0].detector == "advisory:river.drift.PageHinkley"
    assert data.cause == "the detector river.drift.PageHinkley(threshold=80.0) on amount found a change"


def test_a_random_detector_of_river_finds_what_rivers_own_finds_with_its_seed() -> None:
    table = changing(1_200, 800, 1_200)
    score = normal_scores(Ranking(published_columns()["amount"]).place(table["amount"].to_numpy())[1])
    theirs: Any = drift.KSWIN(alpha=1e-4, seed=1)
    found = []
    for row, value in enumerate(score.tolist()):
        theirs.update(value)
        found += [row] if theirs.drift_detected else []

    (_, data), *_ = by_name(told(table, KSWIN))

    assert data.detected.row == found[0] > 800


def published_columns() -> dict[str, Column]:
    return {column.name: column for column in decode(advised().baseline).columns}


def test_an_incident_resolves_after_so_many_values_without_a_word() -> None:
    (_, opened), (_, resolved) = by_name(told(changing(), ON_AMOUNT))

    first_silent = opened.onset.row + resolved.rows_affected - QUIET
    assert opened.detected.row < first_silent < 3_500  # it sees the amounts fall back, or nothing at all


def test_what_is_calibrated_is_the_same_with_and_without_named_detectors() -> None:
    table = changing(4_000)
    found, without = told(table, *ALL_OF_THEM), told(table)

    ours = by_name(found)
    assert len({data.cause for _, data in ours}) >= 5
    assert len(without) > 0
    assert nameless([one for one in found if one not in ours]) == nameless(without)


@pytest.mark.parametrize("cut", [11, 333])
def test_how_rows_are_cut_into_blocks_changes_nothing_but_ids(cut: int) -> None:
    table = changing(1_500, 700, 1_000)

    assert nameless(told(table, *ALL_OF_THEM, cut=cut)) == nameless(told(table, *ALL_OF_THEM))


def test_a_fold_goes_on_from_its_checkpoint_with_its_detectors() -> None:
    table = changing(2_500, 700, 1_000)

    assert told(table, *ALL_OF_THEM, cut=150, is_restored=True) == told(table, *ALL_OF_THEM, cut=150)


def test_another_list_of_detectors_takes_their_incidents_back() -> None:
    before, after = advised(ON_AMOUNT), advised(OF_RIVER)
    log = Log(changing(6_000, 2_000, 6_000), before)
    log.serve(0, 3_000)
    log.stamped, log.version = after, 2
    log.serve(3_000, 6_000)
    fold = fold_of(before, after)

    found = by_name(incidents(folded(fold, log.records)))

    assert [event for event, _ in found][:2] == [OPENED, IncidentEvent.RETRACTED]
