"""What the fold tells of what consumers say: features that no configuration knows, definitions that are not in use."""

from __future__ import annotations

import pytest

from services.detector.watchdogs.unknown import MAX_NAMES
from shared.durations import UNITS_MS
from shared.events.alert import Incident, IncidentEvent, IncidentKind, Severity, Unwatched
from shared.events.block import Block, BlockKind
from shared.events.news import News, TakenUp, UnknownFeatures
from shared.log import Outgoing
from shared.values import format_ts
from tests.kit.traffic import MINUTE_MS, START_MS, Log, alerts, fold_of, folded, heartbeats, incidents, rows

OPENED, UPDATED, RESOLVED = IncidentEvent.OPENED, IncidentEvent.UPDATED, IncidentEvent.RESOLVED
WHY = "producers send it, and no configuration knows it"


def log_of(count: int = 100) -> Log:
    log = Log(rows(count))
    log.serve(0, 100)
    return log


def tell(log: Log, news: News, *, minutes: int = 1) -> None:
    log.put(Block(BlockKind.TICK, news=news))
    for _ in range(minutes):
        log.tick(after_ms=MINUTE_MS)


def unknown(*names: str, more: int = 0, model: str = "loans") -> UnknownFeatures:
    return UnknownFeatures(model, list(names), more)


def told(messages: list[Outgoing]) -> list[tuple[IncidentEvent, Incident]]:
    return [(event, data) for event, data in incidents(messages) if data.kind is IncidentKind.WATCHDOG]


def listed(messages: list[Outgoing], kind: Unwatched) -> list[list[tuple[str, str]]]:
    """Return what each heartbeat lists of a kind."""
    return [[(one.what, one.why) for one in beat.not_watched if one.kind is kind] for beat in heartbeats(messages)]


def test_unknown_features_are_one_incident_that_names_them_and_does_not_page() -> None:
    log = log_of()
    tell(log, unknown("hat", "shoe"))
    tell(log, unknown("shoe"))

    found = folded(fold_of(), log.records)

    ((event, data),) = told(found)
    (culprit,) = data.culprits
    assert (event, data.severity) == (OPENED, Severity.INFO)
    assert data.cause == "producers send features that no configuration knows: hat, shoe"
    assert (culprit.feature, culprit.statistic, culprit.value) == ("unknown features", "unknown_features", 2.0)
    assert not any(alert.is_page for alert in alerts(found))
    assert listed(found, Unwatched.FEATURE) == [[("hat", WHY), ("shoe", WHY)]] * 2
    assert heartbeats(found)[-1].open_incidents == [data.incident_id]


def test_others_that_come_later_are_an_update_of_the_same_incident() -> None:
    log = log_of()
    tell(log, unknown("shoe"))
    tell(log, unknown("hat", more=3))

    (opened, first), (updated, second) = told(folded(fold_of(), log.records))

    assert (opened, updated) == (OPENED, UPDATED)
    assert first.incident_id == second.incident_id
    assert second.cause == "producers send features that no configuration knows: hat, shoe, at least 3 more"
    assert second.culprits[0].value == 5.0


def test_a_day_without_them_ends_the_incident() -> None:
    log = log_of()
    tell(log, unknown("shoe", more=1), minutes=UNITS_MS["d"] // MINUTE_MS)
    log.tick(after_ms=MINUTE_MS)

    found = folded(fold_of(), log.records)

    assert [event for event, _ in told(found)] == [OPENED, RESOLVED]
    beats = listed(found, Unwatched.FEATURE)
    assert beats[-3] == [("shoe", WHY), ("others", f"at least 1 more: {WHY}")]
    assert beats[-1] == []


def test_a_feature_that_the_definition_has_is_not_unknown() -> None:
    log = log_of()
    tell(log, unknown("amount", "channel"))

    assert told(folded(fold_of(), log.records)) == []


def test_names_beyond_the_cap_are_a_number() -> None:
    log = log_of()
    names = [f"f{number:03}" for number in range(MAX_NAMES + 10)]
    for first in range(0, len(names), 30):
        tell(log, unknown(*names[first : first + 30]))
    fold = fold_of()

    found = folded(fold, log.records)

    kept = fold.watchdogs.state.models["loans"].unknown
    assert (len(kept.names), kept.more) == (MAX_NAMES, 10)
    assert listed(found, Unwatched.FEATURE)[-1][-1] == ("others", f"at least 10 more: {WHY}")


def test_what_is_told_of_a_model_without_rows_here_changes_nothing() -> None:
    log, other = log_of(), log_of()
    tell(log, unknown("shoe", model="prices"))
    tell(log, TakenUp("prices", 7, "h"))
    tell(other, unknown())
    tell(other, unknown())
    whole, same = fold_of(), fold_of()

    assert folded(whole, log.records) == folded(same, other.records)
    assert whole.snapshot() == same.snapshot()


def test_a_definition_that_no_row_comes_under_is_listed_after_a_minute() -> None:
    log = log_of(300)
    log.put(Block(BlockKind.TICK, news=TakenUp("loans", 2, "h")))
    log.tick(after_ms=MINUTE_MS // 2)
    log.tick(after_ms=MINUTE_MS)
    log.version = 2
    log.serve(100, 200)
    log.tick(after_ms=MINUTE_MS)

    why = f"a consumer took it up at {format_ts(START_MS)}, and no row has come under it: 1 is in use"
    assert listed(folded(fold_of(), log.records), Unwatched.CONFIGURATION) == [[("2", why)], []]


def test_a_consumer_that_goes_on_with_an_older_definition_is_told_by_its_rows() -> None:
    log = log_of(300)
    log.version = 2
    log.serve(100, 200)
    log.tick(after_ms=MINUTE_MS)
    log.version = 1
    log.serve(200, 300, shard=1)
    for _ in range(10):
        log.tick(after_ms=MINUTE_MS)

    at = format_ts(START_MS + MINUTE_MS)
    why = f"rows came under 1 until {at}: not every consumer has taken it up"
    assert listed(folded(fold_of(), log.records), Unwatched.CONFIGURATION) == [[]] + [[("2", why)]] * 9 + [[]]


def test_rows_under_way_while_a_definition_is_taken_up_say_nothing() -> None:
    log = log_of(300)
    log.version = 2
    log.serve(100, 200)
    log.tick(after_ms=MINUTE_MS // 2)
    log.version = 1
    log.serve(200, 300)
    log.tick(after_ms=MINUTE_MS)

    assert listed(folded(fold_of(), log.records), Unwatched.CONFIGURATION) == [[]]


@pytest.mark.parametrize("every", [1, 3])
def test_a_fold_that_is_restored_tells_the_same_of_news(every: int) -> None:
    log = log_of(200)
    tell(log, unknown("hat", more=2))
    tell(log, TakenUp("loans", 2, "h"), minutes=3)
    tell(log, unknown("shoe"))
    log.version = 3
    log.serve(100, 200)
    whole, parted, found = fold_of(), fold_of(), list[Outgoing]()

    for number, record in enumerate(log.records):
        if number % every == 0:
            kept, parted = parted.snapshot(), fold_of()
            parted.restore(kept)
        found += parted.fold(record)

    assert found == folded(whole, log.records)
    assert parted.snapshot() == whole.snapshot()
