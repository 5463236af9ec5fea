"""Why a server ended, as its logs tell it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from services.devstack.adapters.child import LAST_LINES, Child
from services.devstack.stack import PortLost, StackFailed

TAKEN = "Address already in use"
PATIENCE_SECONDS = 60.0


def ended(folder: Path, said: str) -> Child:
    """Return a server that adds to its log and ends; what it was told is long past when it does."""
    log = folder / "server.log"
    program = f"""
with open({str(log)!r}, "a") as log:
    log.write({said!r} + "\\nI leave" * {2 * LAST_LINES})
raise SystemExit(1)
"""
    return Child("the server", [sys.executable, "-c", program], folder / "console.log", [log])


def test_a_port_that_was_taken_is_told_however_much_is_said_after_it(tmp_path: Path) -> None:
    with pytest.raises(PortLost, match="found its port taken"):
        ended(tmp_path, TAKEN).await_answer(lambda: False, PATIENCE_SECONDS)


def test_a_port_that_was_taken_in_an_earlier_run_explains_nothing(tmp_path: Path) -> None:
    (tmp_path / "server.log").write_text(TAKEN)

    with pytest.raises(StackFailed, match="ended with exit code 1") as failed:
        ended(tmp_path, "no memory").await_answer(lambda: False, PATIENCE_SECONDS)

    assert not isinstance(failed.value, PortLost)
