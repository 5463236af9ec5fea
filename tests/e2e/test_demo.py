from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from services.cli.demo.naive_rules import RULES
from services.devstack.adapters.stack import RunningStack

pytestmark = pytest.mark.long
PATIENCE_SECONDS = 300.0


@pytest.mark.usefixtures("stack")  # where no stack can start there is no demo either
def test_the_demo_accounts_for_every_event_and_asks_for_a_retraining(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    command = [sys.executable, "-m", "services.cli", "demo", "--rows", "2000", "--naive-rules", "--json"]

    ran = subprocess.run(
        [*command, "--data", str(data)], capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )

    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout)
    assert (summary["balanced"], summary["differences"]) == (True, [])
    for model in ("car_loan", "bikes"):
        books = summary["models"][model]
        assert (books["predictions"]["produced"], books["predictions"]["observed"]) == (2_000, 2_000)
        assert (books["labels"]["produced"], books["labels"]["joined"]) == (2_000, 2_000)
    assert [incident["kind"] for incident in summary["models"]["car_loan"]["incidents"]] == []
    assert [incident["kind"] for incident in summary["models"]["bikes"]["incidents"]] == ["concept_drift"]
    assert summary["models"]["bikes"]["retrainings"] == {"accepted": 1}
    assert summary["retrainings_accepted"] == 1
    *naive, ours = summary["naive_rules"]["rules"]
    assert [rule["rule"] for rule in naive] == [rule.name for rule in RULES]
    assert naive[0]["models"]["car_loan"]["pages"] == naive[0]["models"]["car_loan"]["before_change"] == 0
    assert {model: count["pages"] for model, count in ours["models"].items()} == {"car_loan": 0, "bikes": 1}
    assert json.loads((data / "summary.json").read_text()) == summary


def test_a_demo_that_cannot_go_on_leaves_nothing_running(stack: RunningStack, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "services.cli", "demo", "--rows", "10", "--data", str(tmp_path / "demo")]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), "DRIFTLINE_HEARTBEAT": "never"}

    ran = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )

    assert ran.returncode == 1
    assert "detector ended with code 78; all services are stopped" in ran.stderr
    described = json.loads((tmp_path / "demo" / "stack.json").read_text())
    assert described["bootstrap"] != stack.bootstrap
    assert set(described["pids"]) == {"driftline"}
