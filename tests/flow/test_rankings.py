"""A model that ranks, all the way: quiet while it is as good as on its reference, one page when it gets worse."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest

from services.cli.trace.run import trace
from services.cli.verify.installation import Silence
from services.cli.verify.report import Check, Outcome
from services.cli.verify.run import verify
from shared.durations import UNITS_MS
from shared.events.alert import Incident, IncidentEvent, IncidentKind, Severity
from shared.events.block import BlockKind
from tests.kit.pipeline import KEY, Pipeline, monitored
from tests.kit.ranked import MODEL, events, publication, requests
from tests.kit.verifying import Left

RETRACTED = IncidentEvent.RETRACTED
GOOD, BAD = 2_000, 2_000
EACH = 500
PAGES = {Severity.WARNING, Severity.CRITICAL}


def begun() -> Pipeline:
    pipeline = Pipeline(monitored())
    pipeline.publish(publication())
    return pipeline


def pass_through(pipeline: Pipeline, found: float, rows: int, first: int = 0, seed: int = 3) -> None:
    """Let requests and their labels pass, an hour apart."""
    for number, (predicted, labelled) in enumerate(events(requests(rows, seed=seed, found=found), first)):
        pipeline.raw_prediction(msgspec.json.encode(predicted))
        pipeline.raw_label(msgspec.json.encode(labelled))
        if number % EACH == EACH - 1:
            pipeline.run()
            pipeline.pass_time(UNITS_MS["h"] / 1_000)


@cache
def worse() -> Pipeline:
    """Return a pipeline through which a model passed that finds only a third of what it found, from row GOOD on."""
    pipeline = begun()
    pass_through(pipeline, 0.8, GOOD)
    pass_through(pipeline, 0.25, BAD, first=GOOD, seed=4)
    return pipeline


def opened(pipeline: Pipeline) -> list[Incident]:
    return [data for event, data in pipeline.incidents if event is IncidentEvent.OPENED]


def test_lists_as_good_as_the_reference_s_say_nothing() -> None:
    pipeline = begun()
    pass_through(pipeline, 0.8, 6_000)

    assert pipeline.incidents == []
    assert pipeline.dead_letters == []
    counted = pipeline.counters(MODEL)
    assert (counted.served, counted.labels_joined, counted.classes_over_cap) == (6_000, 6_000, 0)


def test_a_ranking_that_gets_worse_is_one_page_that_names_the_loss_of_ndcg() -> None:
    (page,) = [data for data in opened(worse()) if data.severity in PAGES]

    assert (page.model, page.kind, page.severity) == (MODEL, IncidentKind.PERFORMANCE_DEGRADATION, Severity.CRITICAL)
    [culprit] = page.culprits
    assert (culprit.feature, culprit.detector, culprit.statistic) == ("ndcg_loss@3", "lr_cusum", "mean")
    assert culprit.value > culprit.threshold
    assert GOOD - 50 <= page.onset.row <= GOOD + 50
    assert page.detected.row < GOOD + 300
    assert len(worse().channel.notices) >= 1


def test_cohorts_have_every_metric_at_every_length_by_segment_as_well() -> None:
    rows = {(row.segment, row.cohort_start_row): row.metrics for row in worse().cohorts}
    before, after = rows["all", 0], rows["all", 2_000]

    names = {f"{name}@{k}" for name in ("ndcg", "map", "precision", "recall", "hit_rate") for k in (3, 5)} | {"mrr"}
    assert set(before) == set(after) == names
    for name in names:
        assert (after[name].high or 1.0) < (before[name].low or 0.0)
    assert {segment for segment, _ in rows} >= {"all", "country=pt", "country=es"}
    assert "labels that have no relevant item" in before["mrr"].note


def test_a_page_is_the_same_after_every_service_died_and_began_again() -> None:
    pipeline = begun()
    for part in range(4):
        is_bad = part >= 2
        pass_through(pipeline, 0.25 if is_bad else 0.8, EACH * 2, first=part * EACH * 2, seed=20 + part)
        pipeline.kill(*pipeline.services)
    pipeline.run()

    (page,) = opened(pipeline)
    assert page.culprits[0].feature == "ndcg_loss@3"
    assert pipeline.counters(MODEL).labels_joined == 4 * EACH * 2


def test_a_verification_of_what_is_left_finds_no_difference() -> None:
    report = verify(Left.of(worse()).installation())

    assert report.outcome is Outcome.CLEAN
    assert sum(proof.counts.get("joined", 0) for proof in report.proofs if proof.check is Check.JOINS) == GOOD + BAD


def test_a_request_is_traced_with_how_many_items_it_has() -> None:
    pipeline = worse()
    items, gains = (events(requests(1, seed=3))[0][of][name] for of, name in ((0, "prediction"), (1, "label")))

    found = trace(pipeline.broker.reader(), pipeline.topics, KEY, Silence(), MODEL, "q0")

    assert [(seen.kind, seen.prediction, seen.label) for seen in found.observations] == [
        (BlockKind.SERVED, items[0], None),
        (BlockKind.LABELLED, float(len(items)), float(len(gains))),
    ]


def test_new_items_are_no_break_of_data_quality() -> None:
    pipeline = begun()
    for number, (predicted, labelled) in enumerate(events(requests(900))):
        is_new = number % 20 == 0
        changed = {"prediction": [f"new-{number}", *predicted["prediction"]]} if is_new else {}
        pipeline.raw_prediction(msgspec.json.encode(predicted | changed))
        pipeline.raw_label(msgspec.json.encode(labelled))
    pipeline.run()

    assert pipeline.incidents == []


def test_labels_that_are_corrected_take_the_incident_back() -> None:
    pipeline = begun()
    told = requests(3_000, seed=9)
    for number, (predicted, labelled) in enumerate(events(told)):
        is_wrong = 2_000 <= number < 2_400
        pipeline.raw_prediction(msgspec.json.encode(predicted))
        pipeline.raw_label(msgspec.json.encode(labelled | ({"label": {"none of them": 1}} if is_wrong else {})))
        if number == 2_399:
            pipeline.run()
    pipeline.run()
    (page,) = opened(pipeline)

    for _, labelled in events(told)[2_000:2_400]:
        pipeline.raw_label(msgspec.json.encode(labelled | {"label_version": 2}))
    pipeline.run()

    assert len(pipeline.rows(BlockKind.CORRECTED)) == 400
    assert [event for event, data in pipeline.incidents if data.incident_id == page.incident_id][-1] is RETRACTED
    before = {row.cohort_start_row: row.metrics for row in pipeline.cohorts if row.segment == "all"}
    assert before[2_000]["ndcg@3"].value == pytest.approx(before[1_000]["ndcg@3"].value, abs=0.05)


def test_a_hostile_row_costs_itself_and_nothing_else() -> None:
    pipeline = begun()
    pairs = events(requests(20))
    bad_lists = [["a", "a"], [None], "a", [*range(101)], {"a": 1}]
    bad_gains = [{"a": -1}, {"a": "1"}, "a", ["a", "a"]]
    for number, (predicted, labelled) in enumerate(pairs):
        is_bad = number < len(bad_lists)
        items = bad_lists[number] if is_bad else predicted["prediction"]
        gains = bad_gains[number - 10] if 10 <= number < 14 else labelled["label"]
        pipeline.raw_prediction(msgspec.json.encode(predicted | {"prediction": items}))
        pipeline.raw_label(msgspec.json.encode(labelled | {"label": gains}))
    pipeline.run()

    assert sorted(letter.reason for letter in pipeline.dead_letters) == ["label"] * 4 + ["prediction"] * 5
    assert len(pipeline.rows(BlockKind.SERVED)) == 15
    assert len(pipeline.rows(BlockKind.LABELLED)) == 11
