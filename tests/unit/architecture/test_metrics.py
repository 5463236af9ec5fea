"""The page of metrics is what the services show."""

from __future__ import annotations

import ast
import re
from functools import cache

from shared.adapters.memory import ManualClock
from shared.events.dead_letter import REASONS
from shared.measures import Measure
from shared.progress import Progress
from shared.services import SERVICES
from shared.settings import Settings
from tests.kit.pipeline import Pipeline, monitored
from tests.kit.repository import ROOT, modules

PAGE = ROOT / "docs" / "metrics.md"
ROW = re.compile(r"^\| `driftline_([a-z_]+)` \|([^|]*)\|([^|]+)\|([^|]+)\|$", flags=re.MULTILINE)


@cache
def shown() -> dict[str, Measure]:
    """Return every metric of the six services, after a pipeline has done something, and what a process adds."""
    pipeline = Pipeline(monitored(loan={}))
    pipeline.predict()
    pipeline.label()
    pipeline.run()
    measures = [measure for name in pipeline.services for measure in pipeline.measures(name)]
    measures += Progress(ManualClock()).measures()
    return {measure.name: measure for measure in measures}


def documented() -> dict[str, tuple[str, ...]]:
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    return {name: tuple(re.findall(r"`([a-z_]+)`", labels)) for name, labels, _, _ in rows}


def test_every_metric_is_on_the_page_with_its_labels_and_the_reverse() -> None:
    labels = {name: measure.labels for name, measure in shown().items()}

    of_the_process = {"build_info": ("version",), "health_refused_connections_total": ()}
    assert documented() == labels | of_the_process


def test_the_ports_on_the_page_are_those_that_services_take() -> None:
    ports = re.findall(r"^\| ([a-z_]+) \| (\d+) \|$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)

    assert ports == [(service, str(Settings().health_port_of(service))) for service in SERVICES]


def test_every_line_of_the_page_says_something() -> None:
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]

    assert [line for line in lines if not ROW.fullmatch(line)] == []


def test_services_that_share_a_name_mean_the_same() -> None:
    pipeline = Pipeline(monitored(loan={}))
    told: dict[str, set[tuple[str, tuple[str, ...]]]] = {}
    for name in pipeline.services:
        for measure in pipeline.measures(name):
            told.setdefault(measure.name, set()).add((measure.help, measure.labels))

    assert {name: meanings for name, meanings in told.items() if len(meanings) > 1} == {}


def test_a_bound_stands_beside_what_it_bounds() -> None:
    limits = {name for name in shown() if name.endswith("_limit")}

    assert len(limits) > 10
    assert {name.removesuffix("_limit") for name in limits} <= set(shown())


def test_the_reasons_of_dead_letters_are_those_that_are_raised() -> None:
    raised = {
        node.args[0].value
        for path in modules("services", "shared")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "Malformed"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }

    assert raised <= set(REASONS)
    assert sorted(REASONS) == list(REASONS)
