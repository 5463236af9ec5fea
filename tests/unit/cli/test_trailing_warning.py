"""What the command line says of a trailing reference before anything runs."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet
import pytest

from services.cli.__main__ import main
from services.cli.exits import Exit
from tests.kit.references import loans

CONFIGURATION = """
models:
  loans:
    task: binary
    positive_class: 1
    reference: {file: loans.parquet, trailing: 28d, lag: 7d}
"""
WARNING = (
    "warning: windows compare with the 28 days before the last 7 once these are known, where a slow drift hides: the"
    " reference, with which whole days and the fast detectors go on comparing, is what tells it. "
)


@pytest.fixture
def configured(tmp_path: Path) -> str:
    pyarrow.parquet.write_table(loans(4_000), tmp_path / "loans.parquet")
    (tmp_path / "driftline.yaml").write_text(CONFIGURATION)
    return str(tmp_path / "driftline.yaml")


@pytest.mark.parametrize("command", [["check"], ["baseline", "build"]])
def test_the_choice_is_warned_of(command: list[str], configured: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command, configured]) == Exit.OK

    (said,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning")]
    assert said.startswith(WARNING)


def test_the_warning_is_in_the_json(configured: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", configured]) == Exit.OK

    (said,) = json.loads(capsys.readouterr().out)["models"]["loans"]["baseline"]["warnings"]
    assert said.startswith(WARNING)
