"""Secrets are planted wherever a configuration and an environment may hold one; no output may tell any of them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from services.cli.__main__ import main
from services.cli.exits import Exit
from shared.adapters.prometheus import registry_of
from shared.adapters.redis import answering, connect
from shared.durations import UNITS_MS
from shared.errors import ConfigurationError, Unavailable
from shared.http import HttpResponse
from shared.identity import IdKey
from shared.monitors import Monitors, parse_monitors
from shared.settings import Settings, read_settings
from shared.webhooks import Endpoint
from tests.kit.pipeline import Pipeline, monitored, traffic
from tests.kit.references import loans

MARK = "planted"
ACTION = {"url": "https://ci.example.org/planted-path?token=planted-token", "secret": "planted-secret"}
CHANNEL = {"url": "https://chat.example.org/planted-channel", "secret": "planted-channel-secret"}
ENVIRONMENT = {
    "DRIFTLINE_ID_KEY": "planted-key",
    "DRIFTLINE_REDIS_URL": "redis://planted-user:planted-password@127.0.0.1:1/0",
}
STEADY = 2_000


def configuration() -> dict[str, Any]:
    """Return a configuration with a secret in each place for one."""
    retrain = {"when": "on_drift", "cool_down": "1d", "action": {"webhook": dict(ACTION)}}
    found: dict[str, Any] = msgspec.to_builtins(monitored(loan={"retrain": retrain}))
    return {**found, "channels": {"ops": {"webhook": dict(CHANNEL)}}, "notify": [{"to": ["log", "ops"]}]}


def published(pipeline: Pipeline) -> str:
    """Return everything that a pipeline wrote, keys and headers too."""
    return repr([pipeline.broker.records(spec.name) for spec in pipeline.topics.specs()])


@pytest.mark.parametrize("answer", [HttpResponse(202), HttpResponse(400, body=b"planted-echo"), None])
def test_nothing_that_services_write_log_or_count_holds_a_secret(answer: HttpResponse | None) -> None:
    pipeline = Pipeline(msgspec.convert(configuration(), Monitors))
    pipeline.orchestrator.answers[ACTION["url"]] = answer

    with capture_logs() as lines:
        for predicted, labelled in traffic(STEADY) + traffic(2_000, first=STEADY, region="south"):
            pipeline.predict(**predicted)
            pipeline.label(**labelled)
        pipeline.run()
        for _ in range(12):
            pipeline.pass_time(UNITS_MS["h"] / 1_000)
            pipeline.run()

    scraped = [generate_latest(registry_of(partial(pipeline.measures, name))) for name in pipeline.services]
    assert pipeline.orchestrator.asked[0].url == ACTION["url"]
    assert MARK not in repr(lines) + published(pipeline) + repr(scraped)
    assert "https://ci.example.org/" in published(pipeline)


@pytest.mark.parametrize(
    "command", [["check"], ["check", "--json"], ["baseline", "build"], ["baseline", "build", "--json"]]
)
def test_no_command_that_reads_a_configuration_prints_a_secret(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    pq.write_table(loans(), tmp_path / "loans.parquet")
    (tmp_path / "driftline.yaml").write_bytes(msgspec.json.encode(configuration()))

    words = [word for word in command if not word.startswith("--")]
    code = main([*words, str(tmp_path / "driftline.yaml"), *command[len(words) :]])

    told = capsys.readouterr()
    assert code == Exit.OK
    assert MARK not in told.out + told.err


RETRAIN, OPS = "models.loan.retrain.action.webhook", "channels.ops.webhook"


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (f"{OPS}.secret", "whsec_planted!"),
        (f"{OPS}.secret", ["planted"]),
        (f"{OPS}.url", "https://a:planted@b/"),
        (f"{OPS}.url", "planted://"),
        (f"{RETRAIN}.url", "http://x.example/planted"),
        (f"{RETRAIN}.url", "https://[planted"),
    ],
)
def test_a_mistake_in_a_secret_is_named_by_its_place(where: str, value: object) -> None:
    tree = configuration()
    *steps, last = where.split(".")
    place = tree
    for step in steps:
        place = place[step]
    place[last] = value

    with pytest.raises(ConfigurationError) as refused:
        parse_monitors(msgspec.json.encode(tree))

    assert refused.value.path == where
    assert MARK not in str(refused.value)


@pytest.mark.parametrize("url", ["planted://x", "redis://:planted#word@host:1/0", "redis://a:planted@host:port/0"])
def test_a_url_of_redis_that_is_none_is_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        connect(Settings(redis_url=url).redis)

    assert str(refused.value).startswith("DRIFTLINE_REDIS_URL: is not redis://")
    assert refused.value.__cause__ is None


def test_a_redis_that_is_away_is_told_of_without_its_password() -> None:
    with pytest.raises(Unavailable) as away, answering():
        connect(read_settings(ENVIRONMENT).redis).ping()

    assert MARK not in str(away.value)


def test_a_variable_that_does_not_fit_is_named_without_its_value() -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_settings({**ENVIRONMENT, "DRIFTLINE_HEALTH_PORT": "planted-in-the-wrong-place"})

    assert refused.value.path == "DRIFTLINE_HEALTH_PORT"
    assert MARK not in str(refused.value)


def test_no_text_of_what_holds_secrets_tells_them() -> None:
    monitors = msgspec.convert(configuration(), Monitors)
    webhook = monitors.channels["ops"].webhook
    endpoint = Endpoint.of(webhook)

    holders = [
        read_settings(ENVIRONMENT),
        IdKey(b"planted-key"),
        monitors,
        webhook,
        endpoint,
        endpoint.post("i", b"", "", 0),
    ]
    assert MARK not in repr(holders)
