"""Benchmarks by name: each measures what it announces, the page lists it, and what it compares with must be there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from services.cli.adapters.bench.run import bench_of
from services.cli.adapters.peers.environment import LOCK
from services.cli.adapters.peers.process import running
from services.cli.bench.figure import NAMES, ONLY_BY_NAME, BenchFailed
from tests.kit.pages import PAGES, names, table

RIVALS = "services.cli.adapters.bench.banks"


@pytest.mark.parametrize("name", NAMES)
def test_the_figures_of_a_benchmark_begin_with_its_name(name: str) -> None:
    assert {figure.name.partition(".")[0] for figure in bench_of(name).figures} == {name}


def test_figures_have_names_of_their_own() -> None:
    figures = [figure.name for name in NAMES for figure in bench_of(name).figures]

    assert sorted(figures) == sorted(set(figures))


def test_every_benchmark_is_on_the_page_with_its_promises() -> None:
    rows = table(PAGES["docs/benchmarks.md"], "figure")
    shown = {name.partition(".")[0] for row in rows for name in names(row[0])} - {""}
    promised = {name for row in rows if len(row) == 3 and row[2] for name in names(row[0])}

    assert shown == set(NAMES)
    assert promised == {
        re.sub(
            r"^(banks|startup)\.\w+", lambda of: f"{of[1]}.<{'bank' if of[1] == 'banks' else 'service'}>", figure.name
        )
        for name in NAMES
        for figure in bench_of(name).figures
        if figure.floor is not None or figure.limit is not None
    }


def test_only_what_must_be_installed_first_is_left_out() -> None:
    assert ONLY_BY_NAME == ("peers",)


def test_a_benchmark_without_what_it_compares_with_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "river", None)
    monkeypatch.delitem(sys.modules, RIVALS, raising=False)

    with pytest.raises(BenchFailed, match="banks compares with river, which is not installed"):
        bench_of("banks")


def test_a_peer_that_is_not_installed_is_named_with_its_own_words(tmp_path: Path) -> None:
    with (
        pytest.raises(BenchFailed, match=r"(?s)evidently ended:.*No module named 'pandas'"),
        running(Path(sys.executable), "evidently", tmp_path / "reference", tmp_path / "window"),
    ):
        pass


def test_the_peers_are_pinned_by_version_and_hash() -> None:
    pins = dict(re.findall(r"^([\w.-]+)==([\w.]+)", LOCK.read_text(encoding="utf-8"), flags=re.MULTILINE))
    asked = LOCK.with_suffix(".in").read_text(encoding="utf-8")

    assert {name: pins[name] for name in ("evidently", "nannyml")} == dict(
        re.findall(r"^([\w.-]+)==([\w.]+)$", asked, flags=re.MULTILINE)
    )
    assert int(pins["pandas"].partition(".")[0]) < 3
    requirements = re.split(r"\n(?=\S)", LOCK.read_text(encoding="utf-8").strip())
    assert [text for text in requirements if "--hash=sha256:" not in text] == []
