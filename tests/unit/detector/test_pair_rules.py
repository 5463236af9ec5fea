"""Rules on the correlations of pairs: which pairs, when they fire, and what they would have cost."""

from __future__ import annotations

import pyarrow as pa
import pytest

from services.cli.publication import Publication
from services.detector.baseline_build import build_baseline
from services.detector.reference_table import ReferenceTable
from services.detector.rules.binding import bind
from services.detector.rules.rehearsal import rehearse
from shared.errors import ConfigurationError
from shared.events.alert import Incident, IncidentEvent, IncidentKind
from shared.monitors import AlertsSpec, ModelSpec
from shared.rules import RuleSpec
from tests.kit.pairs import PAIR, pair_baseline, pair_spec, related
from tests.kit.references import loans, spec
from tests.kit.traffic import MODEL, Log, fold_of, folded, incidents, names

OPENED, RESOLVED = IncidentEvent.OPENED, IncidentEvent.RESOLVED
LOOSE = "pearson_delta(term, amount) < -0.5"


def ruled(*rules: str | RuleSpec) -> ModelSpec:
    return pair_spec(alerts=AlertsSpec(false_pages_per_month=2.0, rules=list(rules)))


def of_rules(table: pa.Table, *rules: str | RuleSpec) -> list[tuple[IncidentEvent, Incident]]:
    """Return what rules lead to on rows that are labelled as they are served."""
    published = Publication.of(MODEL, ruled(*rules), pair_baseline())
    log = Log(table, stamped=published)
    for start in range(0, len(table), 1_000):
        log.serve(start, start + 1_000)
        log.label(start, start + 1_000)
    told = incidents(folded(fold_of(published), log.records))
    return [(event, data) for event, data in told if data.culprits[0].detector == "rule"]


def test_a_rule_on_a_pair_fires_at_its_window_whichever_column_comes_first() -> None:
    turned = pa.concat_tables([related(6_000, 1, turns_at=3_000), related(4_000, 2)])

    (opening, opened), (closing, resolved) = of_rules(turned, LOOSE)

    assert (opening, closing) == (OPENED, RESOLVED)
    assert (opened.kind, names(opened.culprits)) == (IncidentKind.DATA_DRIFT, {PAIR})
    (culprit,) = opened.culprits
    assert (culprit.detector, culprit.statistic, culprit.threshold) == ("rule", "pearson_delta", -0.5)
    assert culprit.value == pytest.approx(-1.2, abs=0.06)
    assert (opened.onset.row, opened.detected.row) == (3_000, 3_999)
    assert LOOSE in opened.cause
    assert resolved.incident_id == opened.incident_id


def test_a_star_is_every_pair_those_with_labels_included() -> None:
    (bound,) = bind(MODEL, ruled("spearman_delta(*) > 0.2"), pair_baseline())

    assert set(bound.limits) == {PAIR, "amount × prediction", "term × prediction"} | {
        f"{name} × {truth}" for name in ("amount", "term") for truth in ("label", "error")
    }


def test_a_pair_with_the_label_fires_on_windows_of_labels() -> None:
    table = related(4_000, 7, truth=3.0)

    ((event, opened),) = of_rules(table, "pearson_delta(amount, label) > 0.3")

    assert (event, opened.kind, names(opened.culprits)) == (OPENED, IncidentKind.CONCEPT_DRIFT, {"amount × label"})


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("pearson_delta(amount, region) > 0", "no such pair is watched, only amount × term"),
        (RuleSpec(when="pearson_delta(*) > 0", every="1d"), "pairs have windows of 1000 events; leave out every"),
    ],
)
def test_pairs_that_are_not_watched_are_refused(rule: str | RuleSpec, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        bind(MODEL, ruled(rule), pair_baseline())


def test_a_model_without_pairs_has_no_such_rule() -> None:
    chosen = spec(alerts=AlertsSpec(rules=["pearson_delta(*) > 0.1"]))

    with pytest.raises(ConfigurationError, match="no correlation is watched; name the pair among the model's pairs"):
        bind(MODEL, chosen, build_baseline(MODEL, chosen, loans(2_000)))


def test_what_a_rule_on_pairs_would_have_cost_is_counted_on_the_reference() -> None:
    turned = pa.concat_tables([related(6_000, 1, turns_at=5_000), related(14_000, 2)])
    turned = turned.set_column(turned.column_names.index("ts"), "ts", loans(20_000)["ts"])
    chosen = ruled("pearson_delta(amount, term) < -0.5", "spearman_delta(amount, label) < -0.5", "psi(amount) > 0.5")
    baseline = build_baseline(MODEL, chosen, turned)

    found = rehearse(bind(MODEL, chosen, baseline), baseline, ReferenceTable(MODEL, chosen, turned))

    assert [(one.windows, one.met, one.fired) for one in found] == [(20, 1, 1), (20, 0, 0), (20, 0, 0)]
