"""What the pages of `docs/` list is what the code has: keys, variables, codes, reasons, triggers."""

from __future__ import annotations

import json
from itertools import chain

import msgspec
import pytest

from services.cli.names import SERVICES
from services.cli.verify.recompare import recompare
from services.detector.performance.metrics.rankings import MRR
from services.retrain_trigger.policy import Hold
from shared.degradation import AT_CUTOFF
from shared.events.alert import Incident, IncidentEvent, decode_alert
from shared.events.comparison import Comparison
from shared.events.dead_letter import REASONS
from shared.events.label import Label
from shared.events.prediction import Prediction
from shared.events.ranking import GAIN_BYTES, item_texts, pack_gains
from shared.monitors import RETRAIN_TRIGGERS, ModelSpec, parse_monitors
from shared.runtime import ExitCode
from shared.settings import Settings
from tests.kit.pages import PAGES, examples_in, names, table

CONFIGURE, EVENTS = PAGES["docs/configure.md"], PAGES["docs/events.md"]
RANKING = PAGES["docs/ranking.md"]
OPERATE, RETRAINING, ALERTS = (PAGES[f"docs/{name}.md"] for name in ("operate", "retraining", "alerts"))


@pytest.mark.parametrize(
    "example", [text for page in PAGES.values() for text in examples_in(page, "yaml") if "models:" in text]
)
def test_every_configuration_on_the_pages_is_accepted(example: str) -> None:
    assert list(parse_monitors(example.encode()).models) in (["car_loan"], ["feed"])


def test_the_variables_are_the_settings_with_their_defaults() -> None:
    shown = {row[0].strip("`"): (names(row[1]) or [""])[0] for row in table(CONFIGURE, "variable")}

    assert shown == Settings().environment()


def test_the_keys_of_a_model_are_those_of_the_configuration() -> None:
    shown = {name.partition(".")[0] for row in table(CONFIGURE, "key") for name in names(row[0])}

    assert shown - {""} == set(ModelSpec.__struct_fields__)


def test_the_events_on_the_page_are_events() -> None:
    prediction, label = examples_in(EVENTS, "json")

    assert set(json.loads(prediction)) | {"error"} == set(Prediction.__struct_fields__)
    assert msgspec.json.decode(prediction, type=Prediction).model == "car_loan"
    assert msgspec.json.decode(label, type=Label).model == "car_loan"


def test_the_events_of_a_ranking_on_its_page_are_events() -> None:
    prediction, label = examples_in(RANKING, "json")

    assert item_texts(msgspec.json.decode(prediction, type=Prediction).prediction, "prediction")[0] == "film-7"
    assert len(pack_gains(msgspec.json.decode(label, type=Label).label)) == 2 * GAIN_BYTES


def test_every_metric_of_a_ranking_is_explained() -> None:
    shown = [*chain.from_iterable(names(row[0]) for row in table(RANKING, "metric"))]

    assert sorted(shown) == sorted([*(f"{name}@k" for name in AT_CUTOFF), MRR])


def test_every_field_of_a_prediction_is_explained() -> None:
    shown = list(chain.from_iterable(names(row[0]) for row in table(EVENTS, "field")))

    assert sorted(shown) == sorted(Prediction.__struct_fields__)


def test_every_reason_of_a_dead_letter_is_explained() -> None:
    shown = set(chain.from_iterable(names(row[0]) for row in table(EVENTS, "reason")))

    assert shown == set(REASONS)


def test_every_exit_code_of_a_service_is_explained() -> None:
    shown = {(int(row[0]), *names(row[1])) for row in table(OPERATE, "code")}

    assert shown == {(code.value, code.name) for code in ExitCode}


def test_every_service_is_listed_in_order_of_flow_with_its_port() -> None:
    shown = {names(row[0])[0]: int(row[1]) for row in table(OPERATE, "service")}

    assert shown == {name: Settings().health_port + number for number, name in enumerate(SERVICES)}
    assert list(shown) == list(SERVICES)


def test_every_trigger_and_every_reason_to_hold_is_explained() -> None:
    triggers = chain.from_iterable(names(row[0]) for row in table(RETRAINING, "trigger"))
    holds = chain.from_iterable(names(row[0]) for row in table(RETRAINING, "held because"))

    assert (set(triggers), set(holds)) == (set(RETRAIN_TRIGGERS), {hold.value for hold in Hold})


def test_the_alert_on_the_page_is_an_alert() -> None:
    (shown,) = examples_in(ALERTS, "json")

    alert = decode_alert(shown.encode())

    assert (alert.type, alert.data.model) == (IncidentEvent.OPENED, "car_loan")
    assert set(json.loads(shown)["data"]) == set(Incident.__struct_fields__)


def test_the_verdict_on_the_page_is_one_and_its_numbers_follow_from_its_counts() -> None:
    (shown,) = examples_in(PAGES["docs/challengers.md"], "json")

    verdict = decode_alert(shown.encode()).data

    assert isinstance(verdict, Comparison)
    assert set(json.loads(shown)["data"]) == set(Comparison.__struct_fields__)
    assert [number for number in recompare(verdict) if number.differs] == []


def test_every_type_of_alert_is_explained() -> None:
    shown = list(chain.from_iterable(names(row[0]) for row in table(ALERTS, "type")))

    assert shown == [event.value for event in IncidentEvent]
