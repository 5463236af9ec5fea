"""A backtest of a model without a reference: its first recorded traffic is the reference, told in the summary."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.cli.__main__ import main
from services.cli.acceptance import NEEDED_ROWS
from services.cli.exits import Exit
from services.detector.stream_time import WIDTH
from shared.values import format_ts
from tests.kit.pipeline import NOW, traffic
from tests.kit.references import HOUR_MS

CONFIG = """
models:
  loan:
    task: binary
    positive_class: 1
    classes: [0, 1]
    warm_up: 14d
    segments: [channel]
    label_horizon: 60d
    features:
      amount: {kind: numeric}
      term: {kind: numeric}
      region: {kind: categorical}
      repaid_before: {kind: categorical}
"""
DRIFT, STOP = 11_000, 13_000
BEGUN = WIDTH // 2


def drifted(number: int, predicted: dict[str, Any]) -> dict[str, Any]:
    amount = predicted["features"]["amount"] * (10.0 if number >= DRIFT else 1.0)
    return predicted | {"features": predicted["features"] | {"amount": amount}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration without a reference, and events whose `amount` changes."""
    folder = tmp_path_factory.mktemp("loans")
    (folder / "driftline.yaml").write_text(CONFIG)
    events = traffic(STOP)
    predictions = [msgspec.json.encode(drifted(number, predicted)) for number, (predicted, _) in enumerate(events)]
    (folder / "predictions.jsonl").write_bytes(b"\n".join(predictions))
    (folder / "labels.jsonl").write_bytes(b"\n".join(msgspec.json.encode(labelled) for _, labelled in events))
    return folder


def backtest(folder: Path, out: Path, config: Path | None = None) -> int:
    files = {"predictions": "predictions.jsonl", "ground-truth": "labels.jsonl"}
    named = [text for name, path in files.items() for text in (f"--{name}", str(folder / path))]
    return main(["backtest", "--config", str(config or folder / "driftline.yaml"), *named, "--out", str(out)])


def test_the_first_traffic_is_the_reference_and_a_change_after_it_is_found(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backtest(folder, tmp_path) == Exit.OK

    summary = json.loads((tmp_path / "summary.json").read_bytes())
    (incident,) = summary["incidents"]
    assert {culprit["feature"] for culprit in incident["culprits"]} == {"amount"}
    assert DRIFT <= incident["detected"]["row"] < DRIFT + 1_000
    assert summary["armed"]["all_traffic"] == 1.0
    assert summary["models"][0]["rows_served"] == STOP
    assert summary["learned"] == {
        "loan": {
            "since": format_ts(NOW + BEGUN * HOUR_MS),
            "until": format_ts(NOW + (BEGUN + NEEDED_ROWS - 1) * HOUR_MS),
            "rows": NEEDED_ROWS,
        }
    }
    assert capsys.readouterr().out.startswith("loan: its reference are its first 10,000 served rows from 2025-06-")


def test_events_that_end_before_the_warm_up_does_are_refused(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    longer = tmp_path / "driftline.yaml"
    longer.write_text(CONFIG.replace("14d", "100w"))

    assert backtest(folder, tmp_path / "out", longer) == Exit.CONFIGURATION

    assert capsys.readouterr().err.startswith(
        "driftline: models.loan.warm_up: the events end before that: loan warms up: 76.8 w of 100 w, 13,000 of 10,101"
    )
