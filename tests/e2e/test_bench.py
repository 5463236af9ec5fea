"""`driftline bench` as a person calls it, small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.repository import ROOT

pytestmark = pytest.mark.e2e


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "bench", "--repeat", "1", "--events", "4000", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("stack")
def test_a_benchmark_starts_its_own_servers_and_says_what_it_ran_on(tmp_path: Path) -> None:
    out = tmp_path / "report.json"

    done = bench("redis", "joiner", "--json", "--out", str(out))

    found = json.loads(done.stdout)
    assert json.loads(out.read_text()) == found
    assert found["events"] == 4000
    assert set(found["environment"]["servers"]) == {"Kafka", "Java", "Redis"}
    assert [figure["name"] for figure in found["figures"]] == ["redis.pending_id", "joiner.rows"]
    assert all(len(figure["runs"]) == 1 and figure["value"] > 0 for figure in found["figures"])
    assert done.returncode == (0 if found["ok"] else 1)


def test_a_benchmark_in_memory_starts_no_server() -> None:
    done = bench("detector", "--json")

    assert json.loads(done.stdout)["environment"]["servers"] == {}


def test_an_unknown_name_is_refused() -> None:
    done = bench("nonsense")

    assert done.returncode == 2
    assert "'nonsense' is none of consumer" in " ".join(done.stderr.split())
