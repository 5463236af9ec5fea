"""An alert's numbers again from its own record: right ones are found right, and a wrong one is named."""

from __future__ import annotations

from functools import cache

import msgspec
import pytest

from services.cli.log_baseline import Refused
from services.cli.verify.number import Number
from services.cli.verify.recount import recount
from services.cli.verify.report import Outcome
from services.cli.verify.told import outcome_of, told
from services.detector.baseline import decode
from shared.adapters.memory import ManualClock, MemoryBroker
from shared.definition import control_records
from shared.events.alert import Incident, IncidentEvent, decode_alert
from shared.events.comparison import Comparison
from shared.log import Outgoing
from shared.topics import Topics
from tests.kit.backtests import incidents, publication, replayed
from tests.kit.pipeline import Pipeline, monitored
from tests.kit.repository import ROOT
from tests.kit.verifying import written

MODEL = "car_loan"
TOPICS = Topics(alerts_partitions=1)


@cache
def events() -> list[tuple[IncidentEvent, Incident]]:
    return incidents(tuple(replayed(MODEL).alerts))


def of_a_window() -> tuple[IncidentEvent, Incident]:
    """Return the newest event that a closed window leads."""
    return next(found for found in reversed(events()) if found[1].culprits[0].detector == "psi")


def recounted(event: IncidentEvent, incident: Incident) -> list[Number]:
    published = publication(MODEL)
    return recount(event, incident, published.definition, decode(published.baseline))


def of_detector(numbers: list[Number], detector: str) -> dict[str, Number]:
    """Return the numbers of the first culprit of a detector, by name."""
    first = next(number.of for number in numbers if number.of.endswith(detector))
    return {number.name: number for number in numbers if number.of == first}


def log_of(*values: bytes) -> MemoryBroker:
    """Return a broker that holds the model's definition and these alerts."""
    broker = MemoryBroker(ManualClock())
    broker.create(*TOPICS.specs())
    published = publication(MODEL)
    for message in control_records(TOPICS, published.definition, published.baseline):
        broker.append(message)
    for value in values:
        broker.append(Outgoing(TOPICS.alerts, value, partition=0))
    return broker


def of_incidents() -> list[bytes]:
    return [record.value or b"" for record in replayed(MODEL).alerts if b"driftline.incident" in (record.value or b"")]


def test_no_number_of_a_recorded_stream_differs() -> None:
    found = [number for event, incident in events() for number in recounted(event, incident)]

    assert len(found) > 200
    assert [number for number in found if number.differs] == []


def test_all_of_a_window_follows_from_its_counts() -> None:
    event, incident = of_a_window()

    numbers = of_detector(recounted(event, incident), "psi")

    culprit = incident.culprits[0]
    assert (culprit.detector, culprit.statistic) == ("psi", "psi_debiased")
    assert {name: number.recomputed for name, number in numbers.items()} == {
        "reference events": sum(part.reference_count for part in culprit.bins),
        "events, at most the window's rows": culprit.window_rows,
        "psi of all bins": pytest.approx(sum(part.contribution for part in culprit.bins)),
        "value (psi_debiased)": pytest.approx(culprit.value),
        "noise_floor": pytest.approx(culprit.noise_floor),
        "p_value": pytest.approx(culprit.p_value),
        "threshold": 0.1,
    }


def test_of_a_sequential_detector_the_value_needs_the_fold_and_the_chance_does_not() -> None:
    event, incident = events()[0]

    numbers = {number.name: number for number in recounted(event, incident)}

    assert event is IncidentEvent.OPENED
    assert numbers["value (log_evidence)"].needs == "the fold of the log"
    assert numbers["threshold"].recomputed == pytest.approx(incident.culprits[0].threshold)
    assert numbers["chance_per_week"].recomputed == pytest.approx(incident.chance_per_week, rel=1e-5)


def test_of_a_sum_follows_how_sure_it_is() -> None:
    event, incident = events()[0]
    column = next(column for column in decode(publication(MODEL).baseline).columns if column.name == "car_value")
    culprits = [
        msgspec.structs.replace(
            incident.culprits[0],
            feature=column.name,
            detector=detector,
            statistic=statistic,
            window_rows=400,
            noise_floor=noise,
            threshold=gate * column.shift_gate,
        )
        for detector, statistic, noise, gate in (
            ("page_hinkley", "mean_normal_score", 1 / 20, 0.32),
            ("adwin", "mean_rank_shift", (1 / 12 / 400) ** 0.5, 0.09),
        )
    ]

    numbers = recounted(event, msgspec.structs.replace(incident, culprits=culprits))

    assert [(number.name, number.needs) for number in numbers if number.needs] == [
        ("value (mean_normal_score)", "the fold of the log"),
        ("value (mean_rank_shift)", "the fold of the log"),
        ("chance_per_week", "the fold of the log"),
    ]
    assert [number for number in numbers if number.differs] == []


def test_what_a_rule_has_seen_follows_from_its_counts_and_its_limit_from_the_configuration() -> None:
    pipeline = written(Pipeline(monitored(loan={"alerts": {"rules": ["psi(amount) > 0.2"]}})), 2_400)
    event, incident = next(found for found in pipeline.incidents if found[1].culprits[0].detector == "rule")
    (definition,) = pipeline.catalogue.definitions.values()
    baseline = decode(pipeline.catalogue.baselines[incident.baseline_hash])

    numbers = {number.name: number for number in recount(event, incident, definition, baseline)}

    assert numbers["value (psi)"].recomputed == pytest.approx(incident.culprits[0].value)
    assert (numbers["threshold"].recomputed, numbers["chance_per_week"].recomputed) == (0.2, 1.0)
    assert [number for number in numbers.values() if number.differs or number.needs] == []


CHANGES = {
    "value": ("value (psi_debiased)", 0.5),
    "noise_floor": ("noise_floor", 0.0),
    "p_value": ("p_value", 1e-3),
    "threshold": ("threshold", 0.2),
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_number_that_was_changed_is_named(field: str) -> None:
    event, incident = of_a_window()
    name, value = CHANGES[field]
    first, *rest = incident.culprits
    changed = msgspec.structs.replace(incident, culprits=[msgspec.structs.replace(first, **{field: value}), *rest])

    found = [number for number in recounted(event, changed) if number.differs]

    assert [(number.name, number.said) for number in found] == [(name, value)]


def test_a_count_that_was_changed_shows_in_all_that_follows_from_it() -> None:
    event, incident = of_a_window()
    first, *rest = incident.culprits
    part = first.bins[0]
    more = msgspec.structs.replace(part, count=part.count + 50, reference_count=part.reference_count + 1)
    changed = msgspec.structs.replace(
        incident, culprits=[msgspec.structs.replace(first, bins=[more, *first.bins[1:]]), *rest]
    )

    names = {number.name for number in recounted(event, changed) if number.differs}

    assert {"reference events", f"reference count of {part.name}", "value (psi_debiased)", "p_value"} <= names


def test_an_incident_is_recounted_event_by_event_and_a_copy_once() -> None:
    values = of_incidents()
    broker = log_of(*values, values[0])
    first = decode_alert(values[0])
    assert isinstance(first.data, Incident)

    found = told(broker.reader(), TOPICS, first.data.incident_id)

    assert [event.id for event in found] == [
        alert.id
        for alert in map(decode_alert, values)
        if isinstance(alert.data, Incident) and alert.data.incident_id == first.data.incident_id
    ]
    assert found[0].at == f"alerts-0@{len(values)}"
    assert outcome_of(found) is Outcome.CLEAN


def test_an_alert_of_which_no_value_follows_is_undecided() -> None:
    (value, *_) = of_incidents()

    (found,) = told(log_of(value).reader(), TOPICS, decode_alert(value).id)

    assert (found.type, found.outcome) == (IncidentEvent.OPENED, Outcome.UNDECIDED)


def test_a_verdict_on_a_challenger_follows_from_its_own_record() -> None:
    verdict = (ROOT / "tests/wire/v1/alert_challenger.json").read_bytes()
    alert = decode_alert(verdict)
    assert isinstance(alert.data, Comparison)

    (found,) = told(log_of(verdict).reader(), TOPICS, alert.data.comparison_id)

    assert (found.id, found.outcome) == (alert.id, Outcome.CLEAN)
    assert [number.name for number in found.numbers if number.needs] == []


def test_what_cannot_be_recounted_is_refused_with_the_reason() -> None:
    heartbeat = next(record.value or b"" for record in replayed(MODEL).alerts if b"heartbeat" in (record.value or b""))
    (value, *_) = of_incidents()
    event = msgspec.json.decode(value)
    event["data"]["baseline_hash"] = "0" * 32
    broker = log_of(heartbeat, msgspec.json.encode(event))

    for identity, reason in (
        ("nobody", "holds no alert and no incident 'nobody'"),
        (decode_alert(heartbeat).id, "is a heartbeat"),
        (event["id"], f"does not hold the baseline {'0' * 32}"),
    ):
        with pytest.raises(Refused, match=reason):
            told(broker.reader(), TOPICS, identity)
