"""What `check`, `baseline build` and the topics say of a model that warms up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.cli.__main__ import main
from services.cli.configuration import read_configuration
from services.cli.exits import Exit
from shared.topics import DAY_MS, Topics

CONFIG = """
models:
  rides:
    task: binary
    positive_class: 1
    classes: [0, 1]
    warm_up: 14d
    features: {age: {kind: numeric}, city: {kind: categorical}}
"""
SAID = (
    "rides: binary, 2 features and 2 classes declared; its first 14d become its baseline, until then nothing is"
    " compared and nothing pages"
)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "driftline.yaml"
    path.write_text(CONFIG)
    return path


def test_check_says_that_nothing_pages_yet(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(config)]) == Exit.OK

    assert capsys.readouterr().out.splitlines() == [SAID, "", f"{config}: valid"]


def test_check_names_it_in_json(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(config), "--json"]) == Exit.OK

    assert json.loads(capsys.readouterr().out) == {"ok": True, "warming_up": {"rides": "14d"}, "models": {}}


def test_there_is_no_baseline_to_build(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["baseline", "build", str(config), "--out", str(tmp_path / "out"), "--json"]) == Exit.OK

    said = capsys.readouterr()
    assert (json.loads(said.out), said.err.splitlines()) == ({}, [SAID])
    assert not (tmp_path / "out").exists()


def test_observations_have_to_be_kept_for_longer_than_it_takes(config: Path) -> None:
    specs = {spec.name: spec for spec in read_configuration(config).topics(Topics())}

    assert specs["driftline.observations"].config["retention.ms"] == str(17 * DAY_MS)
    assert specs["driftline.halves"].config["retention.ms"] == str(180 * DAY_MS)
