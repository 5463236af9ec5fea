"""What the command line says of rules and named detectors before anything runs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pyarrow.parquet
import pytest

from services.cli.__main__ import main
from services.cli.exits import Exit
from services.cli.rehearsed import rehearsals, sentences
from services.detector.adapters.reference_file import read_reference
from services.detector.reference_table import ReferenceTable
from services.detector.rules.binding import bind
from services.detector.rules.rehearsal import rehearse
from shared.detectors import DetectorSpec
from shared.monitors import AlertsSpec
from shared.rules import RuleSpec
from tests.kit.pages import PAGES
from tests.kit.references import loans
from tests.kit.shipped import SETS, baseline, model_spec

RULE = re.compile(r"(?P<when>.*?)(?: every (?P<every>.*))?")

CONFIGURATION = """
models:
  loans:
    task: binary
    positive_class: 1
    reference: loans.parquet
    alerts: {{rules: {rules}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pyarrow.parquet.write_table(loans(4_000), tmp_path / "loans.parquet")
    return tmp_path


def configured(folder: Path, rules: list[object]) -> str:
    path = folder / "driftline.yaml"
    path.write_text(CONFIGURATION.format(rules=json.dumps(rules)))
    return str(path)


@pytest.mark.parametrize("command", [["check"], ["baseline", "build"]])
def test_each_rule_is_told_what_it_would_have_cost(
    folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rules: list[object] = ["psi(*) > 0.5", {"when": "psi(amount) > 0.0001", "severity": "info"}]

    assert main([*command, configured(folder, rules)]) == Exit.OK

    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("rule ")]
    assert told == [
        "rule psi(*) > 0.5: never on the reference (met in 0 of 16 windows)",
        "rule psi(amount) > 0.0001: 0.18 a month; fired 1 time in 1 incident on the reference (met in 4 of 4 windows)",
    ]


def test_the_costs_of_rules_are_in_the_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--json", configured(folder, ["psi(amount) > 0.0001"])]) == Exit.OK

    (rule,) = json.loads(capsys.readouterr().out)["models"]["loans"]["baseline"]["rules"]
    assert rule.pop("fired_a_month") == pytest.approx(0.18, abs=0.001)
    assert rule == {
        "rule": "psi(amount) > 0.0001",
        "severity": "warning",
        "looks_at": "window",
        "is_held": True,
        "windows": 4,
        "met": 4,
        "fired": 1,
        "incidents": 1,
    }


def test_the_costs_in_the_documentation_are_those_of_the_recorded_loans() -> None:
    shown = re.findall(r"^rule .*$", PAGES["docs/configure.md"], flags=re.MULTILINE)
    rules = [RULE.fullmatch(line.removeprefix("rule ").partition(": ")[0]) for line in shown]
    specs = [RuleSpec(when=found["when"], every=found["every"]) for found in rules if found is not None]
    spec = msgspec.structs.replace(model_spec("car_loan"), alerts=AlertsSpec(rules=list(specs)))
    reference = ReferenceTable("car_loan", spec, read_reference(SETS / "car_loan" / "reference.parquet", "car_loan"))
    found = baseline("car_loan")

    assert list(sentences(rehearse(bind("car_loan", spec, found), found, reference))) == shown


def test_what_compiled_detectors_cost_in_the_documentation_is_so_of_the_recorded_loans() -> None:
    shown = re.findall(r"^detector (?!river).*$", PAGES["docs/configure.md"], flags=re.MULTILINE)
    strict = DetectorSpec(name="adwin", signal="car_value", parameters={"delta": 0.0001})
    spec = msgspec.structs.replace(
        model_spec("car_loan"), detectors=[DetectorSpec(name="hddm_a", signal="error"), strict]
    )
    reference = ReferenceTable("car_loan", spec, read_reference(SETS / "car_loan" / "reference.parquet", "car_loan"))

    assert list(sentences(rehearsals("car_loan", spec, baseline("car_loan"), reference).detectors)) == shown


@pytest.mark.parametrize("command", [["check"], ["baseline", "build"]])
def test_a_rule_of_an_unknown_feature_is_a_mistake_with_its_path(
    folder: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, configured(folder, ["psi(amount) > 0.2", "psi(amont) > 0.2"])]) == Exit.CONFIGURATION

    assert "models.loans.alerts.rules.1: psi(amont) > 0.2: there is no column 'amont'" in capsys.readouterr().err
