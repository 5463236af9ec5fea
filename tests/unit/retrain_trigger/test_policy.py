from __future__ import annotations

import pytest

from services.retrain_trigger.policy import Hold, Moment, Rule, Standing, decide, effect_id
from shared.durations import parse_duration
from shared.events.alert import Action, Alert, IncidentEvent, IncidentKind, Severity, decode_alert
from shared.monitors import ActionSpec, RetrainSpec
from shared.webhooks import WebhookSpec
from tests.kit.alerts import heartbeat_bytes, incident, incident_alert
from tests.kit.repository import ROOT

HOUR, DAY = parse_duration("1h"), parse_duration("1d")
OPENED, ESCALATED, UPDATED = IncidentEvent.OPENED, IncidentEvent.ESCALATED, IncidentEvent.UPDATED
DRIFT, MISPREDICTION, CONCEPT = (
    IncidentKind.DATA_DRIFT,
    IncidentKind.PREDICTION_DRIFT,
    IncidentKind.CONCEPT_DRIFT,
)
LOSS, LABELS, BROKEN = IncidentKind.PERFORMANCE_DEGRADATION, IncidentKind.LABEL_DRIFT, IncidentKind.DATA_QUALITY
INFO, WARNING, CRITICAL = Severity.INFO, Severity.WARNING, Severity.CRITICAL


def rule(when: str, cool_down: str = "1d") -> Rule:
    action = ActionSpec(webhook=WebhookSpec(url="http://127.0.0.1/retrain"))
    return Rule.of(RetrainSpec(when=when, action=action, cool_down=cool_down))


def outcome(
    when: str, alert: Alert, standing: Standing | None = None, now: Moment | None = None
) -> tuple[str, Hold | None] | None:
    decision = decide(rule(when), Moment(), alert, now or Moment(DAY), standing or Standing())
    return None if decision is None else (decision.cause, decision.hold)


@pytest.mark.parametrize(
    ("when", "event", "kinds", "severity", "cause"),
    [
        ("on_drift", OPENED, [DRIFT], WARNING, "on_drift"),
        ("on_drift", OPENED, [MISPREDICTION], CRITICAL, "on_drift"),
        ("on_drift", OPENED, [CONCEPT], CRITICAL, "on_drift"),
        ("on_drift", ESCALATED, [LOSS, DRIFT], CRITICAL, "on_drift"),
        ("on_drift", OPENED, [DRIFT], INFO, None),
        ("on_drift", OPENED, [LABELS], WARNING, None),
        ("on_drift", OPENED, [LOSS], CRITICAL, None),
        ("on_drift", UPDATED, [DRIFT], CRITICAL, None),
        ("on_drift", IncidentEvent.RESOLVED, [DRIFT], WARNING, None),
        ("on_drift", IncidentEvent.RETRACTED, [DRIFT], WARNING, None),
        ("on_drift", IncidentEvent.ACCEPTED, [DRIFT], WARNING, None),
        ("on_accuracy_drop", OPENED, [LOSS], CRITICAL, "on_accuracy_drop"),
        ("on_accuracy_drop", OPENED, [DRIFT, LOSS], CRITICAL, "on_accuracy_drop"),
        ("on_accuracy_drop", ESCALATED, [CONCEPT], CRITICAL, "on_accuracy_drop"),
        ("on_accuracy_drop", OPENED, [DRIFT], WARNING, None),
        ("on_accuracy_drop", UPDATED, [LOSS], CRITICAL, None),
        ("on_accuracy_drop OR on_drift", OPENED, [DRIFT], WARNING, "on_drift"),
        ("on_accuracy_drop OR on_drift", OPENED, [CONCEPT], CRITICAL, "on_accuracy_drop"),
        ("on_drift OR on_accuracy_drop", OPENED, [CONCEPT], CRITICAL, "on_drift"),
        ("scheduled_weekly", OPENED, [DRIFT], CRITICAL, None),
    ],
)
def test_an_incident_meets_the_first_trigger_that_names_it(
    when: str, event: IncidentEvent, kinds: list[IncidentKind], severity: Severity, cause: str | None
) -> None:
    alert = incident_alert(event, incident(kinds=kinds, severity=severity))

    assert outcome(when, alert) == (None if cause is None else (cause, None))


@pytest.mark.parametrize(
    ("asked_before", "hold"),
    [(DAY, Hold.COOLING_DOWN), (1, Hold.COOLING_DOWN), (0, None)],
    ids=["just now", "almost a day ago", "a day ago"],
)
def test_a_request_holds_the_next_one_until_the_cool_down_is_over(asked_before: int, hold: Hold | None) -> None:
    alert = incident_alert(OPENED, incident(incident_id="i2"))

    assert outcome("on_drift", alert, Standing(asked_before, frozenset({"i1"}))) == ("on_drift", hold)


def test_an_incident_that_has_its_retraining_is_not_asked_for_again_when_it_escalates() -> None:
    alert = incident_alert(ESCALATED, incident(severity=CRITICAL))
    long_after = Moment(30 * DAY)

    assert outcome("on_drift", alert, Standing(0, frozenset({"i1"})), long_after) == ("on_drift", Hold.ALREADY_DECIDED)


def test_a_held_incident_is_asked_for_when_it_escalates_after_the_cool_down() -> None:
    alert = incident_alert(ESCALATED, incident(severity=CRITICAL))

    assert outcome("on_drift", alert, Standing(0, frozenset({"other"})), Moment(2 * DAY)) == ("on_drift", None)


def test_a_model_is_not_retrained_on_data_that_a_pipeline_broke() -> None:
    alert = incident_alert(OPENED, incident(kinds=[BROKEN, DRIFT], severity=CRITICAL, action=Action.FIX_PIPELINE))

    assert outcome("on_drift", alert) == ("on_drift", Hold.BROKEN_DATA)


def test_a_model_that_is_as_good_as_before_in_each_segment_is_not_retrained() -> None:
    mix = incident(kinds=[IncidentKind.TRAFFIC_MIX, LOSS], severity=CRITICAL, action=Action.HOLD)

    assert outcome("on_accuracy_drop", incident_alert(OPENED, mix)) == ("on_accuracy_drop", Hold.TRAFFIC_MIX)


def test_no_verdict_on_a_challenger_asks_for_a_retraining() -> None:
    verdict = decode_alert((ROOT / "tests/wire/v1/alert_challenger.json").read_bytes())

    assert outcome("on_drift OR on_accuracy_drop OR scheduled_daily", verdict) is None


def causes_of_beats(when: str, beats_ms: list[int]) -> list[tuple[int, str]]:
    """Return (log time, cause) of every decision on heartbeats at these times."""
    alert = decode_alert(heartbeat_bytes())
    moment, decided = Moment(), []
    for at_ms in beats_ms:
        before, moment = moment, moment.after(alert.type, at_ms)
        decision = decide(rule(when, "1s"), before, alert, moment, Standing())
        if decision is not None:
            decided.append((at_ms, decision.cause))
    return decided


@pytest.mark.parametrize(
    ("trigger", "days"), [("scheduled_daily", 1), ("scheduled_weekly", 7), ("scheduled_monthly", 30)]
)
def test_a_schedule_counts_whole_periods_from_the_first_heartbeat(trigger: str, days: int) -> None:
    start = 5 * HOUR
    beats = [start + hour * HOUR for hour in range(2 * days * 24 + 2)]

    assert causes_of_beats(trigger, beats) == [(start + days * DAY, trigger), (start + 2 * days * DAY, trigger)]


def test_the_first_heartbeat_after_a_period_decides_however_late_it_is() -> None:
    beats = [0, DAY - 1, DAY + HOUR, 2 * DAY - 1, 5 * DAY, 5 * DAY + HOUR]

    assert causes_of_beats("scheduled_daily", beats) == [
        (DAY + HOUR, "scheduled_daily"),
        (5 * DAY, "scheduled_daily"),
    ]


def test_two_schedules_that_are_due_together_decide_once() -> None:
    beats = [day * DAY for day in range(8)]

    assert causes_of_beats("scheduled_weekly OR scheduled_daily", beats) == [
        *((day * DAY, "scheduled_daily") for day in range(1, 7)),
        (7 * DAY, "scheduled_weekly"),
    ]


def test_a_schedule_in_the_cool_down_is_held() -> None:
    alert = decode_alert(heartbeat_bytes())
    before = Moment(0, 0, 0)

    decision = decide(rule("scheduled_daily"), before, alert, before.after(alert.type, DAY), Standing(HOUR))

    assert decision is not None
    assert (decision.hold, decision.incident_id) == (Hold.COOLING_DOWN, None)
    assert decision.effect_id == effect_id("car_loan", "scheduled_daily:1", "h")


def test_log_time_does_not_go_back_with_a_brokers_clock() -> None:
    moment = Moment().after(OPENED, 100).after(IncidentEvent.HEARTBEAT, 40)

    assert moment == Moment(log_time_ms=100, watched_since_ms=100, beat_ms=100)


def test_the_record_of_a_decision_says_where_its_alert_is() -> None:
    alert = incident_alert(OPENED, incident())
    decision = decide(rule("on_drift"), Moment(), alert, Moment(DAY, HOUR, HOUR), Standing())
    assert decision is not None

    entry = decision.entry(partition=1, offset=42)

    assert (entry.state, entry.reason, entry.cause) == ("requested", None, "on_drift")
    assert (entry.alerts_partition, entry.alerts_offset, entry.alert_id) == (1, 42, "i1.opened")
    assert (entry.decided_at, entry.watched_since) == ("1970-01-02T00:00:00.000Z", "1970-01-01T01:00:00.000Z")
    assert entry.effect_id == effect_id("car_loan", "i1", "i1.opened")
