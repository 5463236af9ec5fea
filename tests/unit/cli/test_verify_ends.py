"""Where the pipeline begins and ends: events that became rows or dead letters, alerts that became retrainings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import msgspec
import pytest

from services.cli.verify.report import Check, Outcome
from services.cli.verify.run import verify
from services.retrain_trigger.ledger import decode_entry, ledger_record
from shared.events.block import BlockKind, decode
from shared.events.retraining import RetrainingState
from shared.log import Outgoing, Record, TopicPartition
from tests.kit.pipeline import URL, Pipeline, label, monitored, prediction, publications
from tests.kit.tampering import rewrite, with_column
from tests.kit.verifying import HOUR_SECONDS, Left, written

RETRAIN = {"retrain": {"when": "on_drift OR scheduled_daily", "action": {"webhook": {"url": URL}}}}
ROWS = 1_200
REFUSED = [b"{", b"", msgspec.json.encode(prediction(request_id=None)), msgspec.json.encode(prediction(model="boat"))]
SALVAGED = prediction(
    request_id="odd", features={"amount": "much", "term": 24, "region": None, "extra": 1}, scores=None
)


@cache
def lived() -> Left:
    """Return what is left of a life with everything in it: refusals, odd events, another definition, a retraining."""
    pipeline = Pipeline(monitored(loan=RETRAIN))
    written(pipeline, ROWS)
    for value in REFUSED:
        pipeline.raw_prediction(value)
    pipeline.raw_prediction(msgspec.json.encode(SALVAGED))
    pipeline.raw_label(msgspec.json.encode(label(label="unheard of")))
    pipeline.run()
    (publication,) = publications(monitored(loan={**RETRAIN, "features": {"amount": {"max": 80_000}}}))
    pipeline.publish(publication)
    written(pipeline, 400, first=ROWS)
    pipeline.pass_time(30 * HOUR_SECONDS)
    pipeline.predict(request_id="last")
    pipeline.run()
    pipeline.pass_time(2 * HOUR_SECONDS)
    pipeline.run()
    return Left.of(pipeline)


@pytest.fixture
def left() -> Left:
    return lived().copy()


def different(left: Left, check: Check) -> Iterator[tuple[str, str]]:
    for proof in verify(left.installation()).proofs:
        if proof.check is check:
            yield from ((difference.at, difference.text) for difference in proof.differences)


def only(left: Left, topic: str) -> TopicPartition:
    return left.broker.records(topic)[0].source


def test_every_event_is_a_row_or_a_dead_letter_and_every_page_is_answered(left: Left) -> None:
    report = verify(left.installation())

    counts: dict[Check, dict[str, int]] = {Check.INPUTS: {}, Check.RETRAINING: {}}
    for proof in report.proofs:
        for what, count in proof.counts.items() if proof.check in counts else ():
            counts[proof.check][what] = counts[proof.check].get(what, 0) + count
    assert [difference for proof in report.proofs for difference in proof.differences] == []
    assert report.outcome is Outcome.CLEAN
    assert counts[Check.INPUTS] == {"rows": 2 * (ROWS + 400) + 2, "dead letters": len(REFUSED) + 1}
    assert counts[Check.RETRAINING]["decisions"] == len(left.broker.records(left.topics.retraining)) // 2 > 0


def test_a_row_that_is_gone_from_the_halves_is_named_by_its_event(left: Left) -> None:
    source = left.busy(left.topics.halves)
    lost: list[int] = []

    def without_one(records: list[Record]) -> Sequence[Record]:
        place = next(n for n, record in enumerate(records) if decode(record).kind is BlockKind.LABEL)
        batch = decode(records[place]).batch
        assert batch is not None
        lost.extend(batch.column("src_offset").to_pylist())
        return [*records[:place], *records[place + 1 :]]

    rewrite(left.broker, source, without_one)

    found = list(different(left, Check.INPUTS))
    assert found[0] == (f"ground-truth-0@{lost[0]}", "is neither in the halves nor in the dead letters")
    assert len(found) == 20  # of those told; the report counts them all


def test_a_row_that_does_not_say_what_its_event_says_is_named(left: Left) -> None:
    offsets: list[int] = []

    def changed(records: list[Record]) -> Sequence[Record]:
        place = next(n for n, record in enumerate(records) if decode(record).kind is BlockKind.PREDICTION)
        batch = decode(records[place]).batch
        assert batch is not None
        offsets.append(batch.column("src_offset").to_pylist()[3])
        scores = batch.column("score").to_numpy(zero_copy_only=False).copy()
        scores[3] = 0.123
        return [
            *records[:place],
            with_column(records[place], "score", scores),
            *records[place + 1 :],
        ]

    rewrite(left.broker, left.busy(left.topics.halves), changed)

    assert list(different(left, Check.INPUTS)) == [
        (f"predictions-0@{offsets[0]}", "has a row in the halves that is not what it says")
    ]


def test_a_dead_letter_that_is_gone_or_gives_another_reason_is_named(left: Left) -> None:
    source = only(left, left.topics.dead_letters)
    places: list[int] = []

    def changed(records: list[Record]) -> Sequence[Record]:
        letters = [msgspec.json.decode(record.value or b"") for record in records]
        places.extend(letter["offset"] for letter in letters[:2])
        letters[1]["reason"] = "depth"
        value = msgspec.json.encode(letters[1])
        return [msgspec.structs.replace(records[1], value=value), *records[2:]]

    rewrite(left.broker, source, changed)

    assert list(different(left, Check.INPUTS)) == [
        (f"predictions-0@{places[0]}", "is neither in the halves nor in the dead letters"),
        (f"predictions-0@{places[1]}", "is refused as depth, and is empty"),
    ]


def test_events_that_are_not_consumed_yet_are_under_way(left: Left) -> None:
    left.broker.append(Outgoing(left.topics.predictions, msgspec.json.encode(prediction()), partition=0))

    (proof,) = [p for p in verify(left.installation()).proofs if p.log == "predictions-0"]

    assert (proof.different, proof.counts["under way"]) == (0, 1)


def test_rows_of_a_raw_log_that_has_lost_its_beginning_are_not_missed(left: Left) -> None:
    left.broker.delete_records(TopicPartition(left.topics.predictions, 0), 500)

    (proof,) = [p for p in verify(left.installation()).proofs if p.log == "predictions-0"]

    assert (proof.start, proof.different, proof.counts["rows of records no longer kept"]) == (500, 0, 500)


def test_a_decision_that_is_gone_is_named_by_its_alert(left: Left) -> None:
    source = only(left, left.topics.retraining)
    first = decode_entry(left.broker.records(*source)[0].value or b"")

    rewrite(
        left.broker,
        source,
        lambda records: [r for r in records if decode_entry(r.value or b"").effect_id != first.effect_id],
    )

    assert list(different(left, Check.RETRAINING)) == [
        (f"alerts-{first.alerts_partition}@{first.alerts_offset}", "on_drift asks for a decision, and there is none")
    ]


def test_a_decision_that_no_alert_asks_for_and_a_second_start_are_named(left: Left) -> None:
    source = only(left, left.topics.retraining)
    first = decode_entry(left.broker.records(*source)[0].value or b"")
    forged = msgspec.structs.replace(first, effect_id="f" * 32, state=RetrainingState.ACCEPTED)
    left.broker.append(ledger_record(left.topics, forged, source="/test", time=forged.decided_at))

    assert list(different(left, Check.RETRAINING)) == [
        (f"effect {'f' * 32}", f"is a second retraining of {first.incident_id}: {first.effect_id}"),
        (f"effect {'f' * 32}", "answers no alert (on_drift of loan)"),
    ]
