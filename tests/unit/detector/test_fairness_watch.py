"""Fairness of a model's traffic: final cohorts of groups side by side, rows and incidents, and what is kept."""

from __future__ import annotations

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from services.cli.verify.recount import recount
from services.detector.baseline import decode
from services.detector.fairness.metrics import Counts, fairness
from services.detector.fairness.watch import MAX_GROUPS, FairnessWatch
from services.detector.report import FairnessRow, ListSink
from shared.events.alert import IncidentEvent, IncidentKind, Severity
from shared.fairness import FairnessSpec
from shared.log import Outgoing
from tests.kit.references import HOUR_MS
from tests.kit.traffic import SPEC, Log, fold_of, fold_options, folded, incidents, published_as, rows, watch_of

LIMITS = {"demographic_parity_difference": 0.1, "equalized_odds_ratio": 0.8}
FAIR = FairnessSpec(protected=["channel"], limits=LIMITS)
PUBLISHED = published_as(msgspec.structs.replace(SPEC, fairness=FAIR))
OPENED, RESOLVED = IncidentEvent.OPENED, IncidentEvent.RESOLVED


def traffic(count: int = 6_000, until: int = 6_000) -> Log:
    """Return served and labelled rows; up to row `until`, every other of the branch's is refused, whatever it is."""
    table = rows(count)
    at_branch = np.array(table["seg_channel"].to_pylist()) == "branch"
    place = np.arange(count)
    refused = at_branch & (place % 2 == 0) & (place < until)
    prediction = np.where(refused, 0, table["prediction"].to_numpy())
    table = table.set_column(table.schema.get_field_index("prediction"), "prediction", pa.array(prediction))
    log = Log(table, PUBLISHED)
    log.tick(after_ms=count * HOUR_MS)  # log time is ahead: what is final is so by the predictions' own time
    for first in range(0, count, 500):
        log.serve(first, first + 500)
        log.label(first, first + 500)
    return log


def fair_incidents(told: list[Outgoing]) -> list[tuple[IncidentEvent, str, float]]:
    return [
        (event, incident.culprits[0].feature, incident.culprits[0].threshold)
        for event, incident in incidents(told)
        if incident.culprits and incident.culprits[0].feature.endswith("(channel)")
    ]


def test_every_final_cohort_of_a_group_is_compared_with_the_newest_of_the_other() -> None:
    sink, log = ListSink(), traffic()
    fold = fold_of(PUBLISHED, sink=sink, options=fold_options(profiles=True))

    told = folded(fold, log.records)

    found = sink.fairness_rows
    first, second = found[:2]
    assert (first.dimension, len(first.groups), set(second.groups)) == (
        "channel",
        1,
        {"channel=branch", "channel=web"},
    )
    assert first.metrics["demographic_parity_ratio"].note == "fewer than two groups have 30 labelled predictions"
    named = {name: Counts(group.tn, group.fp, group.fn, group.tp) for name, group in second.groups.items()}
    assert [sum(counts) for counts in named.values()] == [500, 500]
    assert second.metrics == fairness(named, 30)
    assert second.metrics["demographic_parity_difference"].value == pytest.approx(0.25, abs=0.06)
    written = [message for message in told if b"/fairness/" in (message.key or b"")]
    assert [msgspec.json.decode(message.value or b"", type=FairnessRow) for message in written] == found
    assert written[0].key == b"loans/v1/fairness/channel"


def test_a_limit_that_is_surely_crossed_is_an_incident_that_names_the_rates() -> None:
    told = folded(fold_of(PUBLISHED), traffic().records)

    assert fair_incidents(told) == [
        (OPENED, "demographic_parity_difference(channel)", 0.1),
        (OPENED, "equalized_odds_ratio(channel)", 0.8),
    ]
    incident = next(one for _, one in incidents(told) if "demographic_parity_difference(channel)" in one.summary)
    assert (incident.severity, incident.kind) == (Severity.WARNING, IncidentKind.PERFORMANCE_DEGRADATION)
    (culprit,) = incident.culprits
    assert culprit.value > culprit.threshold
    assert {part.name for part in culprit.bins} == {"selection_rate channel=branch", "selection_rate channel=web"}
    of = [part.count / part.reference_count for part in culprit.bins]
    assert culprit.value == max(of) - min(of)
    again = [number for number in recount(OPENED, incident, None, decode(PUBLISHED.baseline)) if number.of]
    assert [(number.said, number.recomputed) for number in again] == [(culprit.value, culprit.value)]


def test_it_resolves_when_groups_are_treated_alike_again() -> None:
    told = folded(fold_of(PUBLISHED), traffic(9_000, until=2_000).records)

    parity = [event for event, feature, _ in fair_incidents(told) if feature.startswith("demographic")]
    assert parity == [OPENED, RESOLVED]


def test_a_fold_that_is_restored_judges_as_if_nothing_had_been() -> None:
    records = traffic().records
    whole, parted = fold_of(PUBLISHED), fold_of(PUBLISHED)
    expected, told = folded(whole, records), []
    for number, record in enumerate(records):
        if number % 3 == 0:
            kept, parted = parted.snapshot(), fold_of(PUBLISHED)
            parted.restore(kept)
        told += parted.fold(record)

    assert told == expected
    assert parted.snapshot() == whole.snapshot()
    assert watch_of(whole).figures().fairness_groups == {"channel": 2}


def test_pools_missing_values_and_crosses_are_no_groups_and_there_are_only_so_many() -> None:
    watch = FairnessWatch(FAIR, decode(PUBLISHED.baseline))
    cohort = np.array([40, 10, 0, 10, 40, 0]), (0, 99)

    for segment in ("all", "region=north", "channel=__other__", "channel=__missing__", "channel=web,region=north"):
        assert watch.final(("loans", "v1"), segment, cohort, 0) is None
    for number in range(MAX_GROUPS + 3):
        watch.final(("loans", "v1"), f"channel={number}", cohort, number)

    assert watch.groups == {"channel": MAX_GROUPS}
    watch.gone("channel=0")
    assert watch.groups == {"channel": MAX_GROUPS - 1}
