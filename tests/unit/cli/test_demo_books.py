from __future__ import annotations

import pytest

from services.cli.demo.account import Account, Labels, Predictions
from services.cli.demo.findings import Findings
from services.cli.demo.summary import close_books, enter_read_again, lines, summarise
from services.joiner.meta import Counters
from shared.events.alert import IncidentEvent, Severity
from shared.events.block import BlockKind
from shared.events.dead_letter import dead_letter
from shared.log import Outgoing, Record
from shared.topics import Topics
from tests.kit.alerts import incident, incident_bytes

TOPICS = Topics()


def record(message: Outgoing, offset: int = 0) -> Record:
    return Record(message.topic, message.partition or 0, offset, 0, message.key, message.value)


def refused(topic: str, offset: int, model: str | None = "m") -> Record:
    source = Record(topic, 1, offset, 0, None, b"{}")
    letter = dead_letter(TOPICS, source, service="s", reason="schema", detail="", model=model)
    return record(letter)


def test_books_balance_when_every_event_has_one_fate() -> None:
    account = Account(
        predictions=Predictions(produced=10, observed=5, duplicates=2, conflicts=1, dropped=1, dead_lettered=1),
        labels=Labels(produced=21, joined=6, corrections=5, duplicates=4, conflicts=3, waiting=2, dead_lettered=1),
    )

    assert list(account.differences()) == []


@pytest.mark.parametrize(
    ("observed", "sentence"),
    [
        (7, "3 predictions without a known fate: produced 10, accounted for 7"),
        (11, "1 predictions more than were produced: produced 10, accounted for 11"),
    ],
    ids=["lost", "invented"],
)
def test_books_that_do_not_balance_say_by_how_much(observed: int, sentence: str) -> None:
    account = Account(predictions=Predictions(produced=10, observed=observed))

    assert list(account.differences()) == [sentence]


def test_the_counters_of_all_shards_are_added() -> None:
    account = Account()

    account.add(Counters(served=3, labels_joined=2, unmatched_label=1))
    account.add(Counters(served=4, prediction_duplicates=1, corrections=5, label_conflicts=2, label_duplicates=6))

    assert account == Account(
        predictions=Predictions(observed=7, duplicates=1),
        labels=Labels(joined=2, waiting=1, corrections=5, duplicates=6, conflicts=2),
    )


def test_a_dead_letter_counts_once_for_its_model_and_topic() -> None:
    findings = Findings(TOPICS)
    accounts = {"m": Account(), "other": Account()}

    for letter in (refused("predictions", 4), refused("predictions", 4), refused("ground-truth", 4)):
        findings.absorb(letter)
    close_books(accounts, findings, TOPICS)

    assert (accounts["m"].predictions.dead_lettered, accounts["m"].labels.dead_lettered) == (1, 1)
    assert accounts["other"] == Account()


def test_an_event_that_a_killed_consumer_reads_again_is_accounted_for_once() -> None:
    accounts = {
        "m": Account(
            predictions=Predictions(produced=10, observed=10, duplicates=3),
            labels=Labels(produced=9, joined=9, duplicates=2),
        )
    }

    enter_read_again(accounts, {"m": {BlockKind.PREDICTION: 3, BlockKind.LABEL: 2}})

    assert list(accounts["m"].differences()) == []


def test_an_alert_that_comes_again_and_says_something_else_is_told() -> None:
    findings = Findings(TOPICS)

    for severity in (Severity.INFO, Severity.INFO, Severity.WARNING):
        said = incident_bytes(IncidentEvent.OPENED, incident(severity=severity), alert_id="a")
        findings.absorb(Record(TOPICS.alerts, 0, 0, 0, b"m", said))

    assert findings.changed == ["a"]


def test_the_summary_of_unbalanced_books_says_so_in_both_forms() -> None:
    accounts = {"m": Account(predictions=Predictions(produced=2, observed=1))}

    summary = summarise(
        accounts,
        Findings(TOPICS),
        stream_days={"m": 303.2},
        seconds={"start": 20.0, "pipeline": 95.04, "total": 115.0},
        retrainings_accepted=0,
        data="here",
    )

    assert not summary.balanced
    assert summary.differences == ["m: 1 predictions without a known fate: produced 2, accounted for 1"]
    assert "NOT ACCOUNTED FOR: m: 1 predictions without a known fate: produced 2, accounted for 1" in lines(summary)


def test_the_summary_leads_with_days_in_seconds_and_shows_only_fates_that_happened() -> None:
    accounts = {"car_loan": Account(predictions=Predictions(produced=1_200, observed=1_199, duplicates=1))}

    summary = summarise(
        accounts,
        Findings(TOPICS),
        stream_days={"car_loan": 303.2},
        seconds={"start": 20.0, "pipeline": 95.04, "total": 115.0},
        retrainings_accepted=3,
        data="here",
    )

    text = list(lines(summary))
    assert text[1:3] == [
        "car_loan: 303 days in 95 s",
        "  predictions  1,200 produced, 1,199 observed, 1 duplicates",
    ]
    assert "retrainings accepted by the webhook: 3" in text
