"""What an auditor reads: who did what, what was decided, when, and in which record."""

from __future__ import annotations

import csv
import io
from functools import cache

from services.cli.audit.entries import Entry
from services.cli.audit.lines import csv_of, listing
from services.cli.audit.run import audit
from services.cli.dead_letters.selection import Selection
from services.cli.erasure import erase
from services.cli.verify.installation import Silence
from shared.acts import Act, ActKind, act_record
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.identity import content_hash
from shared.topics import Topics
from shared.values import parse_ts
from tests.kit.pipeline import KEY, NOW, URL, Pipeline, monitored
from tests.kit.verifying import Left, written

ROWS = 3_200


@cache
def left() -> Left:
    """Return what a pipeline has left: a drift, a retraining, an acceptance in name, an erasure, a crash."""
    retrain = {"when": "on_drift", "action": {"webhook": {"url": URL}}}
    pipeline = written(Pipeline(monitored(loan={"retrain": retrain}), fail="detector.before_checkpoint:exit@12"), ROWS)
    act = Act(
        kind=ActKind.ACCEPT, model="loan", at="", by="ada", incident_id="i1", reason="=the launch", definition="d"
    )
    pipeline.broker.append(act_record(pipeline.topics, act))
    pipeline.pass_time(60)
    erase(pipeline.broker.reader(), pipeline.broker.writer(), pipeline.topics, KEY, "loan", ["r1", "r2"], "bob", NOW)
    return Left.of(pipeline)


def audited(since_ms: int | None = None, until_ms: int | None = None, model: str | None = None) -> list[Entry]:
    return audit(left().broker.reader(), left().topics, Silence(), since_ms=since_ms, until_ms=until_ms, model=model)


def test_everything_that_was_decided_is_told_once_in_order_of_time() -> None:
    found = audited()

    assert [entry.time for entry in found] == sorted(entry.time for entry in found)
    assert [entry.what for entry in found] == [
        "baseline",
        "definition",
        "incident.opened",
        "retraining.requested",
        "retraining.accepted",
        "act.accept",
        "act.erase",
    ]


def test_people_are_named_with_what_they_did_and_why() -> None:
    accepted, erased = [entry for entry in audited() if entry.who]

    assert (accepted.who, accepted.text) == ("ada", "accepted the incident i1, because =the launch")
    assert erased.who == "bob"
    assert erased.text.startswith("erased requests: 2 in driftline.halves-")


def test_each_entry_names_its_record_and_what_it_held() -> None:
    records = {
        f"{record.topic}-{record.partition}@{record.offset}": record
        for topic in (left().topics.control, left().topics.alerts, left().topics.retraining)
        for record in left().broker.records(topic)
    }

    assert [content_hash(records[entry.at].value or b"") for entry in audited()] == [e.hash for e in audited()]


def test_what_people_did_to_services_is_told_in_words() -> None:
    broker, topics = MemoryBroker(ManualClock()), Topics()
    done = [
        Act(kind=ActKind.REPAIR, model="", at="", by="ada", about=["view 1", "checkpoint 0"]),
        Act(kind=ActKind.RESUME, model="", at="", by="ada", about=["predictions/1 below 302"]),
        Act(kind=ActKind.REPLAY, model="loan", at="", by="bob", about=Selection(models=frozenset({"loan"})).words()),
        Act(kind=ActKind.REPLAY, model="", at="", by="bob", letters=1_200),
    ]
    broker.create(*topics.specs())
    for act in done:
        broker.append(act_record(topics, act))

    found = audit(broker.reader(), topics, Silence(), since_ms=None, until_ms=None, model=None)

    assert [(entry.what, entry.model, entry.who, entry.text) for entry in found] == [
        ("act.repair", "", "ada", "deleted, to be built anew, view 1, checkpoint 0"),
        ("act.resume", "", "ada", "resumed the input predictions/1 below 302"),
        ("act.replay", "loan", "bob", "sent dead letters again: 0, model loan"),
        ("act.replay", "", "bob", "sent dead letters again: 1,200"),
    ]


def test_a_time_and_a_model_can_be_asked_for() -> None:
    first, *_, last = audited()

    assert audited(since_ms=parse_ts(last.time)) == [last]
    assert last not in audited(until_ms=parse_ts(last.time))
    assert audited(until_ms=parse_ts(first.time)) == []
    assert audited(model="loan") == audited()
    assert audited(model="lawn") == []


def test_no_cell_of_the_csv_is_a_formula() -> None:
    hostile = [
        Entry(time="t", what="w", model="m", who=f"{sign}cmd|' /C calc'!A0", text='a "quoted", text', at="a", hash="h")
        for sign in ("=", "+", "-", "@", "\t", "\r")
    ]

    head, *rows = csv.reader(io.StringIO(csv_of(hostile), newline=""))

    assert head == ["time", "what", "model", "who", "text", "at", "hash"]
    assert {row[3][0] for row in rows} == {"'"}
    assert {row[4] for row in rows} == {'a "quoted", text'}


def test_a_person_reads_a_table() -> None:
    table = listing(audited())

    assert table.head == ("time", "what", "model", "who", "record", "says")
    assert [row[3] for row in table.rows][-2:] == ["ada", "bob"]
