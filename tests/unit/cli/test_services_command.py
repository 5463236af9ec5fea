"""`driftline services run`: which instance of a service that is."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from services.cli.app import application
from services.cli.exits import Exit


@pytest.mark.parametrize("names", [[], ["notifier"], ["joiner", "detector"]])
def test_an_instance_is_of_one_joiner_or_detector(names: list[str]) -> None:
    ran = CliRunner().invoke(application(), ["services", "run", *names, "--instance", "1/3"])

    assert ran.exit_code == Exit.USAGE
    assert "is for one NAME, joiner or detector" in ran.output
