"""The pages of the repository, and what is in their fences."""

from __future__ import annotations

import re
from typing import NamedTuple

from tests.kit.repository import ROOT, name_of

PAGES = {
    name_of(path): path.read_text(encoding="utf-8") for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
}


class Example(NamedTuple):
    """One fenced block."""

    language: str
    text: str


def examples(page: str) -> list[Example]:
    """Return the fenced blocks of a page, in order."""
    return [Example(*found) for found in re.findall(r"^```(\w*)\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)]


def examples_in(page: str, language: str) -> list[str]:
    """Return the blocks of one language; ``: those without one."""
    return [example.text for example in examples(page) if example.language == language]


def commands(page: str, program: str) -> list[str]:
    """Return every command line of `program`, in a block for the shell or a console, or spoken of in the text."""
    blocks = "".join([*examples_in(page, "sh"), *examples_in(page, "console")])
    lines = [line.strip().removeprefix("$ ") for line in blocks.splitlines()]
    spoken = [span for span in re.findall(r"`([^`\n]+)`", page) if "|" not in span]
    return [line for line in [*lines, *spoken] if line.startswith(f"{program} ")]


def table(page: str, head: str) -> list[list[str]]:
    """Return the rows of the tables whose first column is called `head`, cell by cell."""
    found: list[list[str]] = []
    inside = False
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        inside = bool(cells) and (inside or cells[0] == head)
        if inside and cells[0] != head and set(cells[0]) - set("-:"):
            found.append(cells)
    return found


def names(cell: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", cell)
