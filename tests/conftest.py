"""Fixtures of every test: one real Kafka and Redis a session, and settings of one's own on them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from services.detector.adapters.kernel_cache import use_kernel_cache
from services.devstack.adapters.stack import RunningStack
from shared.settings import Settings
from tests.kit.stack import own_settings, session_stack

# An example may be slow on a busy machine; that is no failure.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.register_profile("fuzz", deadline=None, max_examples=20_000)
hypothesis.settings.load_profile("tests")

# Hardly anything becomes garbage until all tests are collected.
gc.disable()

TESTS = Path(__file__).parent
WITH_SERVERS = {"contracts", "e2e", "hostile"}  # the folders of tests that need servers; none are looked for elsewhere

OUTCOME = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    use_kernel_cache()  # what `make setup` compiled
    config.stash[OUTCOME] = []


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import no other tests where only those that need servers are asked for."""
    is_asked_for = config.option.markexpr == "e2e" and config.args == config.getini("testpaths")
    is_another_folder = collection_path.parent == TESTS and collection_path.is_dir()
    return True if is_asked_for and is_another_folder and collection_path.name not in WITH_SERVERS else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "stack" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.e2e)
        if item.get_closest_marker("e2e") and item.path.relative_to(TESTS).parts[0] not in WITH_SERVERS:
            raise pytest.UsageError(f"{item.nodeid} needs servers: its place is below one of {sorted(WITH_SERVERS)}")
    items.sort(key=lambda item: item.get_closest_marker("long") is None)  # those that chance has put last end last


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()  # what is there now stays
    gc.enable()


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)  # of a process that runs tests beside others
    if output is not None:
        output["outcome"] = session.config.stash[OUTCOME]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    told = node.config.stash[OUTCOME]
    told.extend(line for line in getattr(node, "workeroutput", {}).get("outcome", ()) if line not in told)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for line in config.stash[OUTCOME]:
        terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[RunningStack]:
    """The session's Kafka and Redis. A test that stops one of them starts it again."""
    with session_stack(request.config.stash[OUTCOME]) as running:
        yield running


@pytest.fixture
def settings(stack: RunningStack) -> Settings:
    """Settings for the session's stack, with topics and keys that no other test uses."""
    return own_settings(stack)
