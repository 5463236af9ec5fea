from __future__ import annotations

import base64
import hashlib
import hmac

import msgspec
import pytest

from services.retrain_trigger.actions.action import Accepted, Verdict
from services.retrain_trigger.actions.webhook import Webhook
from services.retrain_trigger.wiring import retrainable
from shared.errors import ConfigurationError
from shared.events.retraining import Retraining, RetrainingState
from shared.http import HttpResponse
from shared.monitors import parse_monitors
from shared.verdicts import Refused, TryLater
from shared.webhooks import Endpoint, WebhookSpec

KEY = b"0123456789abcdef01234567"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
EXAMPLE = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
URL = "http://user:hunter2@127.0.0.1:9999/retrain?token=hunter3"
ENTRY = Retraining(
    effect_id="e" * 32,
    model="car_loan",
    model_version="v3",
    state=RetrainingState.REQUESTED,
    cause="on_drift",
    reason=None,
    incident_id="i1",
    alert_id="a1",
    alerts_partition=0,
    alerts_offset=7,
    decided_at="2026-03-01T00:00:00.000Z",
)


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Accepted(None)),
        (201, Accepted(None)),
        (202, Accepted(None)),
        (204, Accepted(None)),
        (409, Accepted(None)),
        (408, TryLater("HTTP 408")),
        (425, TryLater("HTTP 425")),
        (429, TryLater("HTTP 429")),
        (500, TryLater("HTTP 500")),
        (503, TryLater("HTTP 503")),
        (599, TryLater("HTTP 599")),
        (301, Refused("HTTP 301")),
        (307, Refused("HTTP 307")),
        (400, Refused("HTTP 400")),
        (401, Refused("HTTP 401")),
        (404, Refused("HTTP 404")),
        (410, Refused("HTTP 410")),
        (422, Refused("HTTP 422")),
    ],
)
def test_a_status_means(status: int, verdict: Verdict) -> None:
    assert Webhook(Endpoint(URL)).verdict(HttpResponse(status)) == verdict


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({"retry-after": "17"}, 17.0),
        ({"retry-after": "999999"}, 3600.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({}, None),
    ],
)
def test_a_receiver_says_when_to_come_back(headers: dict[str, str], after: float | None) -> None:
    assert Webhook(Endpoint(URL)).verdict(HttpResponse(503, headers)) == TryLater("HTTP 503", after)


@pytest.mark.parametrize(
    ("headers", "body", "run_url"),
    [
        ({}, b'{"run_url": "https://ci/run/1"}', "https://ci/run/1"),
        ({"location": "https://ci/run/2"}, b"", "https://ci/run/2"),
        ({"location": "https://ci/run/2"}, b'{"run_url": "https://ci/run/1"}', "https://ci/run/1"),
        ({"location": "https://ci/run/2"}, b'{"run_url": 7}', "https://ci/run/2"),
        ({"location": "/run/2"}, b"created", None),
        ({}, b'{"run_url": "javascript:alert(1)"}', None),
        ({}, b'{"run_url": "https://ci/\\u0000"}', None),
        ({}, b'["run_url"]', None),
        ({}, b"[" * 60_000, None),
        ({}, b"\xff", None),
    ],
)
def test_a_receiver_may_say_where_the_run_is(headers: dict[str, str], body: bytes, run_url: str | None) -> None:
    assert Webhook(Endpoint(URL)).verdict(HttpResponse(202, headers, body)) == Accepted(run_url)


def test_the_request_is_the_same_at_every_attempt_but_for_its_time() -> None:
    first, second = (
        Webhook(Endpoint(URL)).request(ENTRY, b"{}", now_ms) for now_ms in (1_700_000_000_999, 1_700_000_060_000)
    )

    assert (first.method, first.url, first.body) == ("POST", URL, b"{}")
    assert first.headers == {
        "Content-Type": "application/cloudevents+json; charset=utf-8",
        "User-Agent": "driftline",
        "Idempotency-Key": "e" * 32,
        "webhook-id": "e" * 32,
        "webhook-timestamp": "1700000000",
    }
    assert second.headers == {**first.headers, "webhook-timestamp": "1700000060"}


@pytest.mark.parametrize(("secret", "key"), [(SECRET, KEY), ("plain words", b"plain words")])
def test_a_secret_signs_id_time_and_body(secret: str, key: bytes) -> None:
    webhook = Webhook(Endpoint.of(WebhookSpec(url=URL, secret=secret)))

    signature = webhook.request(ENTRY, b'{"a":1}', 1_700_000_000_000).headers["webhook-signature"]

    signed = f'{"e" * 32}.1700000000.{{"a":1}}'.encode()
    assert signature == "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_the_signature_is_that_of_the_standards_published_example() -> None:
    # The example of the Standard Webhooks libraries' own tests.
    webhook = Webhook(Endpoint.of(WebhookSpec(url=URL, secret=EXAMPLE)))
    entry = msgspec.structs.replace(ENTRY, effect_id="msg_p5jXN8AQM9LWM0D4loKWxJek")

    request = webhook.request(entry, b'{"test": 2432232314}', 1_614_265_330_000)

    assert request.headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_no_text_of_a_webhook_or_its_request_holds_a_secret() -> None:
    spec = WebhookSpec(url=URL, secret=SECRET)
    webhook = Webhook(Endpoint.of(spec))
    request = webhook.request(ENTRY, b"{}", 0)

    for text in (repr(spec), repr(webhook), str(webhook), repr(request), str(request)):
        assert "hunter" not in text
        assert SECRET not in text
        assert repr(KEY) not in text


def test_a_secret_that_is_not_base64_is_refused_by_path_without_its_value() -> None:
    config = b"""
models:
  m:
    task: regression
    reference: r.csv
    retrain: {when: on_drift, action: {webhook: {url: "http://127.0.0.1/", secret: "whsec_%%%oops"}}}
"""
    with pytest.raises(ConfigurationError) as refusal:
        parse_monitors(config)

    assert refusal.value.path == "models.m.retrain.action.webhook.secret"
    assert "oops" not in str(refusal.value)
    assert refusal.value.__cause__ is None


def test_only_models_with_a_retrain_section_are_retrained() -> None:
    config = b"""
models:
  watched: {task: regression, reference: r.csv}
  m:
    task: regression
    reference: r.csv
    retrain: {when: scheduled_daily OR on_drift, cool_down: 2h, action: {webhook: {url: "http://127.0.0.1/"}}}
"""
    models = retrainable(parse_monitors(config))

    assert list(models) == ["m"]
    assert models["m"].rule.triggers == ("scheduled_daily", "on_drift")
    assert models["m"].rule.cool_down_ms == 7_200_000
    assert models["m"].action == Webhook(Endpoint("http://127.0.0.1/"))
