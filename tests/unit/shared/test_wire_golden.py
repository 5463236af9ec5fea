"""Messages of the first release, which every later codec must still read."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import msgspec
import pytest

from shared.definition import Definition
from shared.events.alert import Alert, Heartbeat, Incident, IncidentEvent, IncidentKind, Place, Severity, decode_alert
from shared.events.block import Block, BlockKind, Chain, Stamp, decode
from shared.events.comparison import Advice, Comparison, Difference
from shared.events.dead_letter import DeadLetter
from shared.events.label import Label
from shared.events.prediction import Prediction
from shared.events.retraining import RetrainingEvent, RetrainingState
from shared.log import Record

FOLDER = Path(__file__).parents[2] / "wire" / "v1"

EVENTS = {
    "prediction_minimal": Prediction(
        request_id="r-1", model="car_loan", model_version="v1", features={}, prediction=1.0
    ),
    "prediction_full": Prediction(
        request_id="r-2",
        model="car_loan",
        model_version="2024-03-01",
        ts="2024-02-29T12:00:00.250Z",
        features={"driver_tenure": 12.5, "salary_range": "50k-60k", "repaid_before": True, "home_age": None},
        prediction="1",
        scores={"0": 0.25, "1": 0.75},
        segments={"region": "north", "tier": 3.0, "trial": False, "channel": None},
        latency_ms=7.25,
        error="fallback used",
    ),
    "prediction_score_number": Prediction(
        request_id="r-3",
        model="bikes",
        model_version="v1",
        ts="2024-02-29T13:00:00+01:00",
        features={"temp": -3.0},
        prediction=231.5,
        scores=0.5,
    ),
    "label_minimal": Label(request_id="r-1", model="car_loan", ts="2024-03-30T08:00:00Z", label=1.0),
    "label_correction": Label(
        request_id="r-1",
        model="car_loan",
        ts="2024-04-02T08:00:00Z",
        label="0",
        label_version=2,
        source="chargebacks",
    ),
    "dead_letter": DeadLetter(
        reason="schema",
        detail="Expected `str`, got `int` - at `$.request_id`",
        topic="predictions",
        partition=2,
        offset=77,
        timestamp="2024-02-29T12:00:00.000Z",
        digest="00112233445566778899aabbccddeeff",
        payload_bytes=512,
        model=None,
        service="prediction_consumer",
    ),
}


def golden(name: str) -> bytes:
    return (FOLDER / f"{name}.json").read_bytes()


def alert(name: str) -> Alert:
    return decode_alert(golden(name))


def block(name: str) -> Block:
    told = json.loads(golden(name))
    headers = tuple((key, base64.b64decode(content)) for key, content in told["headers"])
    return decode(Record("driftline.observations", 0, 0, 0, None, base64.b64decode(told["value"]), headers))


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_event_still_reads_as_it_did(name: str) -> None:
    assert msgspec.json.decode(golden(name), type=type(EVENTS[name])) == EVENTS[name]


def test_an_incident_still_reads_as_it_did() -> None:
    opened = alert("alert_opened")

    assert isinstance(opened.data, Incident)
    assert (opened.id, opened.type, opened.is_page) == ("car_loan-5f2c-1", IncidentEvent.OPENED, True)
    assert opened.data.kinds == [IncidentKind.DATA_DRIFT, IncidentKind.PREDICTION_DRIFT]
    assert opened.data.severity is Severity.WARNING
    assert opened.data.detected == Place(
        row=4999, ts="2024-02-29T12:00:00.000Z", topic="driftline.observations", partition=1, offset=49
    )
    assert [(one.segment, one.p_value, len(one.bins)) for one in opened.data.culprits] == [("all", 1e-6, 1)]
    assert [(one.segment, one.p_value, len(one.bins)) for one in opened.data.inside_segments] == [
        ("region=north", None, 0)
    ]
    assert opened.data.blast_radius == {"region=north": 0.6}


def test_a_heartbeat_still_reads_as_it_did() -> None:
    beat = alert("alert_heartbeat")

    assert isinstance(beat.data, Heartbeat)
    assert (beat.type, beat.is_page) == (IncidentEvent.HEARTBEAT, False)
    assert (beat.data.rows_served, beat.data.stream_time) == (120, None)
    assert beat.data.not_armed == {"temp": "warming up"}


def test_a_verdict_still_reads_as_it_did() -> None:
    verdict = alert("alert_challenger")

    assert isinstance(verdict.data, Comparison)
    assert (verdict.type, verdict.is_page) == (IncidentEvent.CHALLENGER_UNDECIDED, False)
    assert (verdict.data.advice, verdict.data.pairs, verdict.data.labels_needed) == (Advice.KEEP, 200, 2_519)
    assert verdict.data.differences[-1] == Difference(100, 12)


def test_a_retraining_still_reads_as_it_did() -> None:
    event = msgspec.json.decode(golden("retraining_requested"), type=RetrainingEvent)

    assert (event.id, event.type, event.subject) == ("e-1/requested", "driftline.retraining.requested", "car_loan")
    assert (event.data.state, event.data.alerts_offset) == (RetrainingState.REQUESTED, 41)
    assert (event.data.run_url, event.data.attempts) == (None, 0)


def test_a_definition_still_has_the_hash_that_blocks_carry() -> None:
    definition = msgspec.json.decode(golden("definition"), type=Definition)

    assert definition.spec.horizon_ms == 120 * 86_400_000
    assert definition.schema.features == {"driver_tenure": "numeric", "salary_range": "categorical"}
    assert definition.hash == "f1d1fbd2c7d1c241065412b7a5a87df5"


def test_a_served_block_still_reads_as_it_did() -> None:
    served = block("block_served")

    assert (served.kind, served.model, served.model_version) == (BlockKind.SERVED, "car_loan", "v1")
    assert served.stamp == Stamp(config_version=7, config_hash="c0ffee", horizon_ms=86_400_000, id_key="0a0b0c0d")
    assert served.chain == Chain(shard=3, seq=(9 << 16) | 1, prev=9 << 16)
    assert served.batch is not None
    columns = served.batch.to_pydict()
    assert str(columns.pop("f:driver_tenure")) == "[nan, 41.5]"
    assert columns == {
        "id": [b"\x01" * 16, b"\x02" * 16],
        "ts": [1, 2],
        "f:salary_range": ["50k-60k", None],
        "flags:driver_tenure": [4, 0],
        "s:region": ["north", "south"],
        "prediction": ["1", "0"],
        "score": [0.75, 0.25],
    }


def test_a_tick_still_reads_as_it_did() -> None:
    assert block("block_tick") == Block(BlockKind.TICK)


def test_every_golden_message_has_its_test() -> None:
    source = Path(__file__).read_text(encoding="utf-8")

    assert [path.stem for path in sorted(FOLDER.iterdir()) if f'"{path.stem}"' not in source] == []
