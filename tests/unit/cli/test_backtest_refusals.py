"""What `driftline backtest` refuses, and that it leaves nothing behind then."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from services.cli.__main__ import main
from services.cli.exits import Exit
from tests.kit.references import loans

ONE = """\
models:
  loans: {task: binary, positive_class: 1, reference: reference.parquet}
"""
TWO = ONE + "  cars: {task: binary, positive_class: 1, reference: reference.parquet}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration, a reference and no events."""
    (tmp_path / "driftline.yaml").write_text(ONE)
    pq.write_table(loans(2_000), tmp_path / "reference.parquet")
    for name in ("predictions.jsonl", "labels.jsonl"):
        (tmp_path / name).touch()
    return tmp_path


def backtest(folder: Path, *more: str) -> int:
    paths = {"config": "driftline.yaml", "predictions": "predictions.jsonl", "ground-truth": "labels.jsonl"}
    named = [text for name, path in paths.items() for text in (f"--{name}", str(folder / path))]
    return main(["backtest", *named, "--out", str(folder / "out"), *more])


def refusal(folder: Path, capsys: pytest.CaptureFixture[str], *more: str) -> str:
    """Return the first line that is said; nothing is written and nothing is a result."""
    assert backtest(folder, *more) == Exit.CONFIGURATION
    said = capsys.readouterr()
    assert said.out == ""
    assert not (folder / "out").exists()
    return said.err.splitlines()[0]


def test_events_that_are_not_there_are_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = folder / "labels.jsonl"
    missing.unlink()

    assert refusal(folder, capsys).startswith(f"driftline: {missing}: cannot be read: ")


def test_a_damaged_file_of_events_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damaged = folder / "labels.jsonl.zst"
    damaged.write_bytes(b"not compressed")

    assert refusal(folder, capsys, "--ground-truth", str(damaged)).startswith(f"driftline: {damaged}: cannot be read: ")


def test_a_configuration_that_is_not_there_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "driftline.yaml").unlink()

    assert str(folder / "driftline.yaml") in refusal(folder, capsys)


def test_a_reference_that_is_not_there_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "reference.parquet").unlink()

    assert str(folder / "reference.parquet") in refusal(folder, capsys)


def test_one_reference_does_not_stand_for_two_models(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "driftline.yaml").write_text(TWO)

    said = refusal(folder, capsys, "--reference", str(folder / "reference.parquet"))

    assert said == "driftline: --reference: there are 2 models; name each one's in the configuration"


@pytest.mark.parametrize(
    "mistake", [["--window", "9"], ["--window", "many"], ["--nothing"], ["--out", "driftline.yaml"]], ids=" ".join
)
def test_a_mistake_on_the_command_line_is_a_usage_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], mistake: list[str]
) -> None:
    monkeypatch.chdir(folder)

    assert backtest(folder, *mistake) == Exit.USAGE
    assert capsys.readouterr().out == ""
    assert not (folder / "out").exists()


def test_the_files_are_not_optional(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest"]) == Exit.USAGE
    assert capsys.readouterr().out == ""


def test_no_events_are_a_backtest_without_findings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert backtest(folder) == Exit.OK

    first, last = capsys.readouterr().out.splitlines()
    assert first.startswith("0 incidents in ")
    assert last == f"results in {folder / 'out'}; look at {folder / 'out' / 'report.html'}"
    assert sorted(path.name for path in (folder / "out").iterdir()) == [
        "alerts.jsonl",
        "performance.parquet",
        "report.html",
        "summary.json",
        "windows.parquet",
    ]
    assert (folder / "out" / "alerts.jsonl").read_bytes() == b""
