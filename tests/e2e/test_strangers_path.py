"""A stranger with a fresh clone follows the pages from the first command to the last, and everything works."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.cli.names import SERVICES
from tests.kit.pages import PAGES, Example, examples, examples_in
from tests.kit.repository import name_of, tracked_files
from tests.kit.terminal import Terminal, keeps_running, terminal, wait_for

pytestmark = pytest.mark.long
CULPRITS = re.compile(r"(?<=^ {11})\w+(, \w+)+$")
JOURNEY = [
    "docs/install.md",
    "README.md",
    "docs/configure.md",
    "docs/events.md",
    "docs/alerts.md",
    "docs/retraining.md",
    "docs/operate.md",
    "docs/security.md",
]
THIS_RUN = "make test"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """The tracked files as they are now, with this environment in place of a second installation."""
    folder = tmp_path / "driftline"
    for path in tracked_files():
        copy = folder / name_of(path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    (folder / ".venv").mkdir()
    (folder / ".venv/bin").symlink_to(Path(sys.prefix) / "bin", target_is_directory=True)
    for made in (".installed", ".warm"):
        (folder / ".venv" / made).touch()
    return folder


@pytest.fixture
def shell(clone: Path) -> Iterator[Terminal]:
    given = {name: value for name, value in os.environ.items() if not name.startswith(("DRIFTLINE_", "VIRTUAL_ENV"))}
    with terminal(clone, given) as opened:
        yield opened


def test_every_page_with_commands_to_type_is_on_the_path() -> None:
    assert {page for page, text in PAGES.items() if examples_in(text, "sh")} == set(JOURNEY)


@pytest.mark.usefixtures("stack")  # where no stack can start, nothing on the pages can
def test_a_stranger_follows_the_pages(shell: Terminal) -> None:
    for page in JOURNEY:
        for example in examples(PAGES[page]):
            follow(shell, page, example)


def follow(shell: Terminal, page: str, example: Example) -> None:
    match example.language:
        case "sh":
            for line in example.text.splitlines():
                if line and not line.startswith((THIS_RUN, "#")):
                    type_in(shell, line)
        case "python":
            shell.run(f"python3 - <<'EOF'\n{example.text}EOF")
        case _:
            assert example.language in ("", "json", "yaml", "console"), f"{page} has a block that nobody reads"


def type_in(shell: Terminal, line: str) -> None:
    if not keeps_running(line):
        printed = shell.run(line)
        if line.startswith("make demo"):
            assert result_of_the_readme() - lines_of(printed) == set()
        return
    said = shell.leave_running(line)
    if line.startswith("driftline dev"):
        told = wait_for(said, "DRIFTLINE_BOOTSTRAP=", "DRIFTLINE_REDIS_URL=", "Ctrl-C")
        shell.run("\n".join(text for text in told.splitlines() if text.startswith("export ")))
    elif line.startswith("driftline services run"):
        wait_for(said, *(f"{name}" for name in SERVICES))
        for port in range(9300, 9300 + len(SERVICES)):
            shell.run(f"curl --silent --fail --retry 60 --retry-delay 1 --retry-all-errors 127.0.0.1:{port}/readyz")


def result_of_the_readme() -> set[str]:
    (shown,) = [example.text for example in examples(PAGES["README.md"]) if example.text.startswith("car_loan: ")]
    return lines_of(shown)


def lines_of(text: str) -> set[str]:
    """Return the lines without what differs from run to run: how long it took, and which culprits stand nearly level.

    Predictions and labels come from two topics, so no two runs fold them in the same order.
    """
    lines = {re.sub(r" in \d+ s$", "", line.rstrip()) for line in text.splitlines() if line.strip()}
    return {CULPRITS.sub(lambda found: ", ".join(sorted(found[0].split(", "))), line) for line in lines}
