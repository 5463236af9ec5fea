"""`driftline baseline warm-up` on a real broker: says how far a model is, then publishes what it has learned."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from services.cli.__main__ import main
from services.cli.acceptance import NEEDED_ROWS
from services.cli.exits import Exit
from services.cli.publication import Publication
from shared.settings import Settings
from tests.kit.accepting import Watched
from tests.kit.logs import KafkaLog
from tests.kit.traffic import MODEL, WARMING, rows

STOP = NEEDED_ROWS + 500
OTHER = """
models:
  rides: {task: regression, warm_up: 7d, features: {distance: {kind: numeric}}}
"""


def test_a_model_gets_its_baseline_when_the_log_holds_enough(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    config = tmp_path / "driftline.yaml"
    config.write_text(OTHER)
    with ExitStack() as undo:
        watched = Watched(rows(STOP), Publication.warming_up(MODEL, WARMING), KafkaLog(settings, undo))
        watched.serve(0, 2_000)

        assert main(["baseline", "warm-up"]) == Exit.OK
        assert capsys.readouterr().out == "loans warms up: 11.3 w of 7 d, 2,000 of 10,101 predictions\n"

        watched.serve(2_000, STOP)
        assert main(["baseline", "warm-up", "--wait", "--json"]) == Exit.OK
        outcome = json.loads(capsys.readouterr().out)
        watched.take_up()

        assert outcome["learned"][MODEL]["rows"] == NEEDED_ROWS
        assert watched.log.stamped.definition.built_from is not None
        assert main(["baseline", "warm-up"]) == Exit.OK
        assert capsys.readouterr().out == "no model warms up\n"

        assert main(["baseline", "warm-up", str(config)]) == Exit.OK
        assert "rides warms up: 0 ms of 7 d, 0 of 10,101 predictions\n" in capsys.readouterr().out
