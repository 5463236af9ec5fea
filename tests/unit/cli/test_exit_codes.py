from __future__ import annotations

from pathlib import Path

import pytest

from services.cli.__main__ import main
from services.cli.demo import sets
from services.cli.exits import Exit, advice, exit_code
from shared.errors import ConfigurationError, Corrupt, DriftlineError, LogIdentity, Unavailable, Undelivered


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("models", "wrong"), 3),
        (Unavailable("Kafka is away"), 4),
        (Undelivered("not acknowledged"), 4),
        (LogIdentity("trimmed"), 1),
        (Corrupt("checksum"), 1),
        (DriftlineError("anything else"), 1),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_has_its_exit_code_and_an_advice(error: DriftlineError, code: int) -> None:
    assert exit_code(error) == code
    assert advice(error).endswith(".")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["check"],
        ["tail", "nothing"],
        ["tail", "alerts", "--request-id", "r"],
        ["tail", "alerts", "--timeout", "3"],
        ["services", "run", "nobody"],
        ["demo", "--speed", "0"],
    ],
    ids=" ".join,
)
def test_a_mistake_on_the_command_line_is_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == Exit.USAGE
    assert capsys.readouterr().out == ""


def test_a_demo_refuses_a_folder_that_holds_something(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()

    assert main(["demo", "--data", str(tmp_path)]) == Exit.USAGE
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none.yaml"

    assert main(["check", str(path)]) == Exit.CONFIGURATION
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines()[0] == f"driftline: {path}: cannot be read: No such file or directory"


def test_a_mistake_in_a_configuration_is_named_by_file_and_path(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "driftline.yaml"
    path.write_text("models: {m: {task: regression, reference: r.parquet, label_horizon: soon}}\n")

    assert main(["baseline", "build", str(path)]) == Exit.CONFIGURATION
    first, advised = capsys.readouterr().err.splitlines()
    assert first.startswith(f"driftline: {path}: models.m.label_horizon: 'soon' is not a duration")
    assert advised == "Correct it, then try `driftline check CONFIG`."


def test_a_model_that_is_not_configured_is_named_with_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    path = sets.folder("bikes") / "driftline.yaml"

    assert main(["baseline", "build", str(path), "--model", "boats"]) == Exit.CONFIGURATION
    assert f"driftline: {path}: models.boats: no such model; there is bikes" in capsys.readouterr().err


def test_an_unknown_setting_is_named_and_its_value_is_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DRIFTLINE_BOOTSTRAPS", "secret:9092")

    assert main(["topics", "check"]) == Exit.CONFIGURATION
    said = capsys.readouterr().err
    assert said.splitlines()[0] == "driftline: DRIFTLINE_BOOTSTRAPS: no such setting"
    assert "secret" not in said


def test_help_is_no_mistake(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == Exit.OK
    assert "demo" in capsys.readouterr().out
