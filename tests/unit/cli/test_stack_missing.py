from __future__ import annotations

import sys

import pytest

from services.cli.__main__ import main
from services.cli.exits import Exit


@pytest.mark.parametrize("command", ["demo", "dev"])
def test_without_the_embedded_stack_a_command_that_starts_it_says_what_to_install(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "jgo", None)

    code = main([command])

    assert code == Exit.FAILURE
    assert "the embedded Kafka and Redis are not installed: `pip install '.[stack]'`" in capsys.readouterr().err
