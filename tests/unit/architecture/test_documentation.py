"""What the pages say is so: their examples are read, their commands exist, their map is the tree."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer

from services.cli.app import application
from shared.events.label import Label
from shared.events.prediction import Prediction
from shared.monitors import parse_monitors
from shared.topics import Topics
from tests.kit.pages import PAGES, commands, examples_in, names, table
from tests.kit.repository import ROOT, tracked_files

README, ARCHITECTURE = PAGES["README.md"], PAGES["ARCHITECTURE.md"]


def test_the_configuration_of_the_readme_is_accepted() -> None:
    (example,) = examples_in(README, "yaml")

    monitors = parse_monitors(example.encode())

    assert list(monitors.models) == ["car_loan"]


def test_the_events_of_the_readme_are_events() -> None:
    prediction, label = examples_in(README, "json")

    assert msgspec.json.decode(prediction, type=Prediction).request_id == "r-1"
    assert msgspec.json.decode(label, type=Label).request_id == "r-1"
    assert json.loads(prediction).keys() <= set(Prediction.__struct_fields__)
    assert json.loads(label).keys() <= set(Label.__struct_fields__)


@pytest.mark.parametrize("line", sorted({line for page in PAGES.values() for line in commands(page, "driftline")}))
def test_every_command_of_the_pages_exists(line: str) -> None:
    words = shlex.split(line, comments=True)[1:]
    command: Any = typer.main.get_command(application())
    while hasattr(command, "commands"):
        if command.invoke_without_command and not (words and words[0] in command.commands):
            break  # it is a command of its own, too
        command, words = command.commands[words[0]], words[1:]

    known = {"--help", *(name for parameter in command.params for name in parameter.opts)}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("line", sorted({line for page in PAGES.values() for line in commands(page, "make")}))
def test_every_make_target_of_the_pages_exists(line: str) -> None:
    target = shlex.split(line, comments=True)[1]

    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)


@pytest.mark.parametrize("name", PAGES)
def test_links_between_pages_lead_somewhere(name: str) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", PAGES[name])

    assert [target for target in targets if not (ROOT / name).parent.joinpath(target).exists()] == []


def test_the_topics_of_the_architecture_are_those_that_are_created() -> None:
    named = [topic for row in table(ARCHITECTURE, "topic") for topic in names(row[0])]

    assert sorted(named) == sorted(spec.name for spec in Topics().specs())


def test_the_map_of_the_architecture_is_the_tree() -> None:
    (drawn,) = [block for block in examples_in(ARCHITECTURE, "") if block.startswith("shared/")]
    named, above = set(), [ROOT]
    for line in drawn.splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        for folder in re.findall(r"([a-z_0-9]+)/", line.lstrip().partition("  ")[0]):
            above[depth + 1 :] = [above[depth] / folder]
            named.add(above[-1])

    folders = {parent for path in tracked_files() for parent in Path(path).parents if parent != ROOT}
    missing = [name for name in named if name not in folders]
    forgotten = [
        folder
        for folder in folders
        if folder.parent in {ROOT / "shared", ROOT / "services", ROOT / "tests", ROOT / "services/detector"}
        and folder not in named
    ]
    assert (missing, [folder for folder in forgotten if folder.name != "adapters"]) == ([], [])
