"""What people read: the line of a notice, in the log and in a webhook's body."""

from __future__ import annotations

import msgspec
import pytest
from structlog.testing import capture_logs

from services.notifier.channels.channel import Delivered, Notice, Verdict
from services.notifier.channels.log import LogChannel
from services.notifier.channels.webhook import WebhookChannel
from services.notifier.render import render
from shared.events.alert import OF_CHALLENGERS, Action, Incident, IncidentEvent, IncidentKind, Severity
from shared.events.comparison import Advice, SegmentComparison
from shared.events.comparison import Verdict as Standing
from shared.events.notice import IncidentNotice, VerdictNotice
from shared.http import HttpResponse
from shared.verdicts import Refused, TryLater
from shared.webhooks import Endpoint
from tests.kit.alerts import comparison, comparison_bytes, culprit, incident, incident_bytes

OPENED, RESOLVED = IncidentEvent.OPENED, IncidentEvent.RESOLVED
DRIFTED = incident(culprits=[culprit()])
TAIL = "since row 12100 (2026-03-01T00:00:00.000Z), found at row 12999; 900 rows affected"


@pytest.mark.parametrize(
    ("event", "data", "line"),
    [
        (
            OPENED,
            DRIFTED,
            "[warning] car_loan v3: data drift opened; "
            f"income: psi 0.31 (noise floor 0.0123, threshold 0.1, 1000 rows); {TAIL}; do: investigate",
        ),
        (
            IncidentEvent.ESCALATED,
            incident(
                kinds=[IncidentKind.PERFORMANCE_DEGRADATION, IncidentKind.DATA_DRIFT],
                severity=Severity.CRITICAL,
                action=Action.RETRAIN,
                inside_segments=[culprit("age", "country=de,device=phone", 12.3456)],
            ),
            "[critical] car_loan v3: performance degradation (with data drift) escalated; "
            "age where country=de,device=phone: psi 12.3 (noise floor 0.0123, threshold 0.1, 1000 rows); "
            f"{TAIL}; do: retrain",
        ),
        (
            IncidentEvent.UPDATED,
            incident(culprits=[culprit(f"f{n}") for n in range(5)], action=Action.FIX_PIPELINE),
            "[warning] car_loan v3: data drift updated; "
            + "; ".join(f"f{n}: psi 0.31 (noise floor 0.0123, threshold 0.1, 1000 rows)" for n in range(3))
            + f"; and 2 more columns; {TAIL}; do: fix pipeline",
        ),
        (RESOLVED, incident(), f"[warning] car_loan v3: data drift resolved; {TAIL}; do: investigate"),
        (
            IncidentEvent.ACCEPTED,
            incident(severity=Severity.INFO),
            f"[info] car_loan v3: data drift accepted as the new normal; {TAIL}; do: investigate",
        ),
        (IncidentEvent.RETRACTED, incident(), f"[warning] car_loan v3: data drift retracted; {TAIL}; do: investigate"),
    ],
    ids=["opened", "escalated", "updated", "resolved", "accepted", "retracted"],
)
def test_an_incident_reads(event: IncidentEvent, data: Incident, line: str) -> None:
    assert render(event, data) == line


def test_who_accepts_an_incident_is_quoted() -> None:
    accepted = msgspec.structs.replace(incident(), reason="the EU launch\nof May")

    line = render(IncidentEvent.ACCEPTED, accepted)

    assert line.startswith("[warning] car_loan v3: data drift accepted as the new normal: the EU launch\ufffdof May; ")


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("city=a\nb\x1b[31m", "city=a\ufffdb\ufffd[31m"),
        ("city=\u202egnp", "city=\ufffdgnp"),
        ("city={0}%s${HOME}", "city={0}%s${HOME}"),
        ("city=<!channel>", "city=\u2039!channel\u203a"),
        ("city=<https://evil|click>", "city=\u2039https://evil|click\u203a"),
        ("city=<script>alert(1)</script>", "city=\u2039script\u203aalert(1)\u2039/script\u203a"),
        ("city={{7*7}}%n", "city={{7*7}}%n"),
        ("x" * 10_000, "x" * 79 + "…"),
    ],
    ids=["control characters", "bidi override", "templates", "mention", "link", "tag", "jinja", "10 KB"],
)
def test_a_name_from_outside_stays_a_short_name(hostile: str, shown: str) -> None:
    line = render(OPENED, incident(culprits=[culprit(segment=hostile)]))

    assert f"; income where {shown}: psi 0.31" in line


def test_a_repeat_says_that_the_incident_is_still_open() -> None:
    assert render(OPENED, incident(), 2).startswith("[warning] car_loan v3: data drift is still open; since row 12100")


VERDICTS = {
    Standing.BETTER: "[info] car_loan v4 is better than v3, the version that serves; "
    "over 200 labels its mean error is smaller by 0.15 (interval 0.08 to 0.22); do: promote",
    Standing.WORSE: "[info] car_loan v4 is worse than v3, the version that serves; "
    "over 200 labels its mean error is larger by 0.15 (interval 0.08 to 0.22); do: rollback",
    Standing.UNDECIDED: "[info] car_loan v4 is neither surely better nor surely worse than v3, "
    "the version that serves; over 200 labels its mean error is smaller by 0.02 (interval -0.05 to 0.09); "
    "sure after some 2519 more labels; do: keep",
}


@pytest.mark.parametrize("verdict", Standing)
def test_a_verdict_reads(verdict: Standing) -> None:
    assert render(OF_CHALLENGERS[verdict], comparison(verdict)) == VERDICTS[verdict]


def test_a_segment_at_odds_with_the_verdict_is_said() -> None:
    said = comparison()
    worse = SegmentComparison(
        segment="income=<low>",
        verdict=Standing.WORSE,
        pairs=400,
        differences=[],
        estimate=-0.03,
        estimate_low=-0.05,
        estimate_high=-0.01,
        e_better=0.0,
        e_worse=900.0,
    )
    better = msgspec.structs.replace(worse, segment="income=high", verdict=Standing.BETTER)
    said = msgspec.structs.replace(said, segments=[worse, better], advice=Advice.PROMOTE_WITH_CAVEAT)

    line = render(OF_CHALLENGERS[said.verdict], said)

    assert line.endswith(
        "(interval 0.08 to 0.22); but worse where income=\u2039low\u203a: "
        "over 400 labels its mean error is larger by 0.03 (interval "
        "0.01 to 0.05); do: promote with caveat"
    )


def test_a_gap_within_the_margin_takes_no_number_of_labels() -> None:
    said = msgspec.structs.replace(comparison(Standing.UNDECIDED), labels_needed=None)

    assert "; the gap is within the margin; " in render(OF_CHALLENGERS[said.verdict], said)


def test_errors_of_numbers_are_told_in_their_own_unit() -> None:
    said = msgspec.structs.replace(comparison(), metric="absolute_error", loss_bound=20.0)

    assert "its mean absolute error is smaller by 3 (interval 1.6 to 4.4)" in render(OF_CHALLENGERS[said.verdict], said)


def test_a_webhook_gets_the_verdict_as_published_and_what_to_act_on() -> None:
    alert = comparison_bytes(comparison(), alert_id="a1")
    told = Notice(
        id="n1",
        event=IncidentEvent.CHALLENGER_BETTER,
        repeat=0,
        text="v4 is better",
        data=comparison(),
        alert=alert,
        alert_id="a1",
        is_page=False,
    )

    request = WebhookChannel(Endpoint("http://ops/hook")).request(told, 1_700_000_000_000)

    body = msgspec.json.decode(request.body)
    assert {key: value for key, value in body.items() if key != "alert"} == {
        "text": "v4 is better",
        "event": "challenger_better",
        "severity": "info",
        "model": "car_loan",
        "model_version": "v4",
        "champion": "v3",
        "advice": "promote",
        "comparison_id": "c1",
    }
    assert alert in request.body
    assert msgspec.json.decode(request.body, type=VerdictNotice).alert.data == comparison()
    with capture_logs() as lines:
        LogChannel().deliver(told)
    assert lines == [
        {
            "event": "v4 is better",
            "log_level": "info",
            "model": "car_loan",
            "comparison": "c1",
            "challenger": "v4",
            "alert": "a1",
            "repeat": 0,
        }
    ]


def notice(text: str = "100% of %s {0}", *, is_page: bool = True, repeat: int = 0) -> Notice:
    return Notice(
        id="n1",
        event=IncidentEvent.ESCALATED,
        repeat=repeat,
        text=text,
        data=DRIFTED,
        alert=incident_bytes(IncidentEvent.ESCALATED, DRIFTED, alert_id="a1"),
        alert_id="a1",
        is_page=is_page,
    )


@pytest.mark.parametrize(("is_page", "level"), [(True, "warning"), (False, "info")])
def test_the_log_channel_writes_pages_as_warnings(is_page: bool, level: str) -> None:
    with capture_logs() as lines:
        LogChannel().deliver(notice(is_page=is_page))

    assert lines == [
        {
            "event": "100% of %s {0}",
            "log_level": level,
            "model": "car_loan",
            "incident": "i1",
            "alert": "a1",
            "repeat": 0,
        }
    ]


def test_a_webhook_gets_the_line_the_alert_as_published_and_what_to_sort_by() -> None:
    request = WebhookChannel(Endpoint("http://ops/hook", b"key")).request(notice("drift!", repeat=3), 1_700_000_000_000)

    body = msgspec.json.decode(request.body)
    assert {key: value for key, value in body.items() if key != "alert"} == {
        "text": "drift!",
        "event": "escalated",
        "repeat": 3,
        "severity": "warning",
        "model": "car_loan",
        "model_version": "v3",
        "incident_id": "i1",
    }
    assert incident_bytes(IncidentEvent.ESCALATED, DRIFTED, alert_id="a1") in request.body
    assert msgspec.json.decode(request.body, type=IncidentNotice).alert.data == DRIFTED
    assert (request.method, request.url) == ("POST", "http://ops/hook")
    assert {name: value for name, value in request.headers.items() if name != "webhook-signature"} == {
        "Content-Type": "application/json",
        "User-Agent": "driftline",
        "Idempotency-Key": "n1",
        "webhook-id": "n1",
        "webhook-timestamp": "1700000000",
    }
    assert request.headers["webhook-signature"].startswith("v1,")


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Delivered()),
        (204, Delivered()),
        (409, Delivered()),
        (429, TryLater("HTTP 429", 7.0)),
        (500, TryLater("HTTP 500", 7.0)),
        (307, Refused("HTTP 307")),
        (401, Refused("HTTP 401")),
        (410, Refused("HTTP 410")),
    ],
)
def test_a_webhook_s_status_means(status: int, verdict: Verdict) -> None:
    assert WebhookChannel(Endpoint("http://ops/")).verdict(HttpResponse(status, {"retry-after": "7"})) == verdict
