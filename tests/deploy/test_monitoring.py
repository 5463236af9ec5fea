"""`deploy/prometheus` and `k8s/monitoring`: alerts and panels over metrics that there are."""

from __future__ import annotations

import json
import re
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.services import SERVICES
from shared.settings import Settings
from tests.kit.repository import ROOT
from tests.kit.validators import program

PLAIN = ROOT / "deploy" / "prometheus" / "rules.yaml"
SCRAPING = ROOT / "deploy" / "prometheus" / "prometheus.yaml"
OPERATOR = ROOT / "k8s" / "monitoring"
PROMETHEUS = "it comes with Prometheus"
TARGET = {"instance", "job"}  # labels that a scrape adds


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@cache
def rules() -> list[dict[str, Any]]:
    (group,) = loaded(PLAIN)["groups"]
    return list(group["rules"])


@cache
def panels() -> list[dict[str, Any]]:
    return list(json.loads((OPERATOR / "dashboard.json").read_text(encoding="utf-8"))["panels"])


def expressions() -> list[str]:
    return [rule["expr"] for rule in rules()] + [target["expr"] for panel in panels() for target in panel["targets"]]


@cache
def documented() -> dict[str, tuple[set[str], str]]:
    """Return each metric's labels and its line on the page."""
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    lines = re.findall(r"^(\| `(driftline_[a-z_]+)` \|([^|]*)\|.*)$", page, flags=re.MULTILINE)
    return {name: (set(re.findall(r"`([a-z_]+)`", labels)), line) for line, name, labels in lines}


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_names_metrics_and_labels_that_there_are(expression: str) -> None:
    used = re.findall(r"(driftline_[a-z_]+)(?:\{([^}]*)\})?", expression)
    assert {name for name, _ in used} <= set(documented())

    known = TARGET.union(*(documented()[name][0] for name, _ in used))
    grouped = re.findall(r"(?:by|on) \(([^)]*)\)", expression)
    assert {label.strip() for labels in grouped for label in labels.split(",")} <= known
    for name, matchers in used:
        labels, _ = documented()[name]
        assert set(re.findall(r"([a-z_]+)[!=]", matchers)) <= labels


def test_what_an_alert_tells_of_is_in_its_labels() -> None:
    for rule in rules():
        grouped = re.match(r"sum by \(([^)]*)\)", rule["expr"])
        names = re.findall(r"driftline_[a-z_]+", rule["expr"])
        known = {label.strip() for label in grouped[1].split(",")} if grouped else TARGET | documented_labels(names[:1])
        assert set(re.findall(r"\$labels\.([a-z_]+)", str(rule["annotations"]))) <= known, rule["alert"]


def documented_labels(names: list[str]) -> set[str]:
    return set().union(*(documented()[name][0] for name in names))


def test_every_alert_says_how_urgent_it_is_and_what_to_do() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert rule["labels"]["severity"] in ("info", "warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_the_page_lists_every_alert() -> None:
    page = (ROOT / "docs" / "operate.md").read_text(encoding="utf-8")

    assert re.findall(r"^\| `(Driftline[A-Za-z]+)` \|", page, flags=re.MULTILINE) == [rule["alert"] for rule in rules()]


def test_the_operator_has_the_same_rules() -> None:
    assert loaded(OPERATOR / "rules.yaml")["spec"]["groups"] == loaded(PLAIN)["groups"]


def test_the_services_of_compose_are_scraped() -> None:
    (job,) = loaded(SCRAPING)["scrape_configs"]

    assert job["job_name"] == "driftline"
    assert job["static_configs"][0]["targets"] == [
        f"127.0.0.1:{Settings().health_port_of(service)}" for service in SERVICES
    ]


@pytest.mark.parametrize(("what", "path"), [("rules", PLAIN), ("config", SCRAPING)], ids=["rules", "config"])
def test_prometheus_takes_what_it_is_given(what: str, path: Path) -> None:
    command = [program("promtool", installed_by=PROMETHEUS), "check", what, str(path)]

    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path) -> None:
    cases = loaded(ROOT / "tests" / "deploy" / "alerting.yaml") | {"rule_files": [str(PLAIN)]}
    written = tmp_path / "alerting.yaml"
    written.write_text(yaml.safe_dump(cases), encoding="utf-8")

    command = [program("promtool", installed_by=PROMETHEUS), "test", "rules", str(written)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_kustomize_makes_scraping_rules_and_a_dashboard() -> None:
    found = program("kubectl", "kustomize")
    command = [found, "kustomize" if found.endswith("kubectl") else "build", str(OPERATOR)]
    made = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    objects = {item["kind"]: item for item in yaml.safe_load_all(made)}
    assert set(objects) == {"ConfigMap", "PodMonitor", "PrometheusRule"}
    assert json.loads(objects["ConfigMap"]["data"]["driftline.json"])["panels"] == panels()
    assert objects["ConfigMap"]["metadata"]["labels"] == {"grafana_dashboard": "1"}


def test_panels_do_not_overlap() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels()]

    assert len(set(places)) == len(places)
    assert {panel["gridPos"]["w"] for panel in panels()} == {12}
