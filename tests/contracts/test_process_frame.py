"""The frame around every service, as a process: signals, deaths, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.kit.repository import ROOT

SERVICE = """
import os, signal, sys
from shared.adapters.process import serve
from shared.errors import LogIdentity, Unavailable

class Stage:
    name = "probe"
    def __init__(self, failpoints):
        self.failpoints = failpoints
    def step(self, timeout):
        {step}
        return True
    def measures(self):
        return ()
    def halted(self):
        return {{}}
    def rebuilding(self):
        return ""
    def close(self):
        print('{{"event": "closed"}}', flush=True)

def wire(settings, failpoints, undo):
    {wire}
    undo.callback(print, '{{"event": "undone"}}', flush=True)
    return Stage(failpoints)

raise SystemExit(serve("probe", os.environ, wire))
"""


def serve(step: str, wire: str = "pass", environ: Mapping[str, str] | None = None) -> tuple[int, list[str], str]:
    """Run a service of one step; returns exit code, events on stdout and all of stderr."""
    ended = subprocess.run(
        [sys.executable, "-c", SERVICE.format(step=step, wire=wire)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DRIFTLINE_HEALTH_PORT": "0", **(environ or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return ended.returncode, [json.loads(line)["event"] for line in ended.stdout.splitlines()], ended.stderr


@pytest.mark.parametrize("number", ["SIGTERM", "SIGINT"])
def test_a_signal_ends_a_service_after_its_step(number: str) -> None:
    code, events, _ = serve(f"os.kill(os.getpid(), signal.{number})")

    assert code == 0
    assert events == ["serving_health", "started", "closed", "undone", "ended"]


def test_a_second_signal_ends_it_at_once() -> None:
    code, events, _ = serve("os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), signal.SIGTERM)")

    assert code == -15
    assert events == ["serving_health", "started"]


def test_a_failpoint_kills_the_process_at_its_pass_and_names_the_place() -> None:
    code, events, errors = serve(
        "print('{\"event\": \"step\"}', flush=True); self.failpoints.hit('probe.step')",
        environ={"DRIFTLINE_FAIL": "probe.step:exit@3"},
    )

    assert code == -9
    assert events == ["serving_health", "started", "step", "step", "step"]
    assert errors == "failpoint probe.step: killed\n"


WAKER = """
import os, signal
from pathlib import Path
stat = Path(f"/proc/{os.getppid()}/stat")
while stat.read_text().rpartition(")")[2].split()[0] != "T":
    pass
os.kill(os.getppid(), signal.SIGCONT)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_failpoint_stops_the_process_until_someone_lets_it_go_on() -> None:
    code, events, errors = serve(
        "self.failpoints.hit('probe.step'); os.kill(os.getpid(), signal.SIGTERM)",
        f"import subprocess; waker = subprocess.Popen([sys.executable, '-c', {WAKER!r}])",
        {"DRIFTLINE_FAIL": "probe.step:stop@1"},
    )

    assert code == 0
    assert events == ["serving_health", "started", "closed", "undone", "ended"]
    assert errors == "failpoint probe.step: stopped\n"


def test_a_failpoint_may_raise_what_nobody_has_foreseen() -> None:
    code, events, errors = serve("self.failpoints.hit('probe.step')", environ={"DRIFTLINE_FAIL": "probe.step:raise@2"})

    assert code == 70
    assert events == ["serving_health", "started", "bug", "closed", "undone", "ended"]
    assert errors == "failpoint probe.step: raises\n"


def test_an_error_of_the_log_is_the_exit_code_and_everything_is_undone() -> None:
    code, events, _ = serve("raise LogIdentity('recreated')")

    assert code == 66
    assert events == ["serving_health", "started", "stopped", "closed", "undone", "ended"]


def test_a_bug_is_logged_and_ends_the_process() -> None:
    code, events, _ = serve("raise KeyError('x')")

    assert code == 70
    assert events == ["serving_health", "started", "bug", "closed", "undone", "ended"]


@pytest.mark.parametrize(
    ("wire", "environ", "code", "said"),
    [
        ("pass", {"DRIFTLINE_BOOTSTRP": "a:1"}, 78, ["failed"]),
        ("pass", {"DRIFTLINE_FAIL": "nonsense"}, 78, ["serving_health", "failed"]),
        ("raise Unavailable('no broker')", {}, 75, ["serving_health", "failed"]),
    ],
    ids=["unknown setting", "bad failpoint", "no broker"],
)
def test_a_service_that_cannot_start_says_why(wire: str, environ: dict[str, str], code: int, said: list[str]) -> None:
    ended, events, _ = serve("pass", wire, environ)

    assert ended == code
    assert events == said
