"""An early warning is an incident where people ask for one, and nobody's else."""

from __future__ import annotations

import msgspec
import pyarrow as pa
import pytest

from services.cli.publication import Publication
from shared.errors import ConfigurationError
from shared.estimates import EstimatesSpec
from shared.events.alert import Incident, IncidentEvent, IncidentKind, Severity
from shared.log import Record
from shared.monitors import parse_monitors
from tests.kit.traffic import SPEC, Log, fold_of, folded, incidents, publication, published_as, rows, watch_of

UNSURE = slice(2_000, 4_000)


def asking(severity: Severity | None) -> Publication:
    return published_as(msgspec.structs.replace(SPEC, estimates=EstimatesSpec(alert=severity)))


def unsure(asked: Publication) -> list[Record]:
    """Return predictions of which some are hardly surer than a coin, and no label."""
    table = rows(8_000)
    answer = table.column("prediction").to_numpy()
    score = answer * 0.8 + 0.1
    score[UNSURE] = answer[UNSURE] * 0.1 + 0.45
    log = Log(table.set_column(table.schema.get_field_index("score_1"), "score_1", pa.array(score)), asked)
    log.serve(0, 8_000, cut=500)
    return log.records


def early(asked: Publication) -> list[tuple[IncidentEvent, Incident]]:
    told = incidents(folded(fold_of(asked), unsure(asked)))
    return [(event, found) for event, found in told if found.kind is IncidentKind.PERFORMANCE_DEGRADATION]


@pytest.mark.parametrize("severity", [Severity.INFO, Severity.WARNING])
def test_an_early_warning_opens_with_the_first_such_cohort_and_ends_after_three_calm_ones(severity: Severity) -> None:
    (first, opened), (last, _) = early(asking(severity))

    assert (first, last) == (IncidentEvent.OPENED, IncidentEvent.RESOLVED)
    assert (opened.severity, opened.onset.row, opened.detected.row) == (severity, 2_000, 2_999)
    (culprit,) = opened.culprits
    assert (culprit.feature, culprit.window_start_row, culprit.window_end_row) == ("estimated_accuracy", 2_000, 2_999)
    assert culprit.value == pytest.approx(0.55, abs=0.01)
    assert culprit.value < culprit.threshold < 0.9
    assert opened.cause == "the rule estimated_accuracy worse than the reference's fired: estimated_accuracy"


def test_nobody_is_told_who_did_not_ask() -> None:
    assert early(publication()) == []


def test_a_state_carries_the_warning_on() -> None:
    asked = asking(Severity.INFO)
    records = unsure(asked)
    whole, halved = fold_of(asked), fold_of(asked)
    told = folded(whole, records)

    first = folded(halved, records[:6])
    resumed = fold_of(asked)
    resumed.restore(halved.snapshot())

    assert watch_of(resumed).open_incidents() == watch_of(halved).open_incidents() != []
    assert [*first, *folded(resumed, records[6:])] == told
    assert resumed.snapshot() == whole.snapshot()


def test_an_alert_of_no_severity_is_refused_by_its_path() -> None:
    with pytest.raises(ConfigurationError, match=r"models\.m\.estimates\.alert"):
        parse_monitors(b"models: {m: {task: regression, reference: r.csv, estimates: {alert: loud}}}")
