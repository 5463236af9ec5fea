"""The supervisor and the demo's receiver, over real processes and sockets."""

from __future__ import annotations

import http.client
import sys

import pytest

from services.cli.adapters.hosting import seen_to_start
from services.cli.adapters.supervisor import Ended, Supervisor
from services.cli.adapters.webhook_receiver import WebhookReceiver, receiving
from services.devstack.adapters.ports import free_port
from shared.errors import ConfigurationError
from shared.services import SERVICES
from shared.settings import Settings
from tests.kit.probing import Probed

WAITS_FOR_ITS_PARENT = "import sys; print('waiting', flush=True); sys.stdin.read()"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_when_one_service_ends_the_others_end_and_it_is_named() -> None:
    commands = {"failing": python("raise SystemExit(3)"), "other": python(WAITS_FOR_ITS_PARENT)}

    ended = Supervisor(commands, {}, lambda *_: None).run()

    assert ended == Ended("failing", 3)


def test_what_may_end_ends_alone_and_does_not_count() -> None:
    quiet = "import os, signal, subprocess, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); "
    lasts_longer = "subprocess.run([sys.executable, '-c', 'import asyncio']); "
    stops_its_parent = "os.kill(os.getppid(), signal.SIGTERM); sys.stdin.read()"
    commands = {"step": python("raise SystemExit(1)"), "lasting": python(quiet + lasts_longer + stops_its_parent)}

    assert Supervisor(commands, {}, lambda *_: None, may_end=frozenset({"step"})).run() == Ended(None, 0)


def test_every_line_of_a_service_comes_with_its_name_and_its_environment() -> None:
    said: list[tuple[str, str]] = []
    code = "import os, sys; print(os.environ['GREETING']); print('bad', file=sys.stderr)"

    Supervisor({"one": python(code)}, {"GREETING": "good"}, lambda name, line: said.append((name, line))).run()

    assert sorted(said) == [("one", "bad"), ("one", "good")]


def test_a_request_to_stop_ends_all_services() -> None:
    stops_its_parent = "import os, signal, sys; os.kill(os.getppid(), signal.SIGTERM); sys.stdin.read()"
    quiet = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); " + WAITS_FOR_ITS_PARENT

    ended = Supervisor({"asking": python(stops_its_parent), "quiet": python(quiet)}, {}, lambda *_: None).run()

    assert ended.culprit == "asking"
    assert ended.code == -15


def test_services_that_are_prepared_are_live_and_not_ready() -> None:
    port = free_port(0, 0)
    settings = Settings(health_port=port - SERVICES.index("detector"))

    with seen_to_start(["detector"], settings):
        health = Probed(port)
        seen = (health.live(), health.ready().state)

    assert seen == (True, "starting")
    with seen_to_start(["detector"], settings), pytest.raises(ConfigurationError, match="DRIFTLINE_HEALTH_PORT"):
        seen_to_start(["detector"], settings).__enter__()


def post(receiver: WebhookReceiver, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", receiver.server_port, timeout=5)
    try:
        connection.request("POST", "/retrain", b"{}", headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_same_key_is_the_same_retraining() -> None:
    with receiving() as receiver:
        statuses = [post(receiver, {"Idempotency-Key": key}) for key in ("a", "b", "a")]

        assert statuses == [202, 202, 200]
        assert receiver.accepted == 2


def test_a_request_without_a_key_is_refused() -> None:
    with receiving() as receiver:
        assert post(receiver, {}) == 400
        assert receiver.accepted == 0
