"""JSON Schemas (2020-12) of the public events, generated from their types into `shared/events/schemas/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from shared.events.alert import ComparisonAlert, HeartbeatAlert, IncidentAlert
from shared.events.dead_letter import DeadLetter
from shared.events.label import Label
from shared.events.notice import IncidentNotice, VerdictNotice
from shared.events.prediction import Prediction
from shared.events.retraining import RetrainingEvent

FOLDER = Path(__file__).with_name("schemas")
DIALECT = "https://json-schema.org/draft/2020-12/schema"

PUBLIC_EVENTS: dict[str, Any] = {
    "prediction": Prediction,
    "label": Label,
    "incident": IncidentAlert,
    "heartbeat": HeartbeatAlert,
    "comparison": ComparisonAlert,
    "notice": IncidentNotice,
    "verdict-notice": VerdictNotice,
    "retraining": RetrainingEvent,
    "dead-letter": DeadLetter,
}


def event_schemas() -> dict[str, bytes]:
    """Return the content of each schema file by its name."""
    return {f"{name}.json": _schema(event) for name, event in PUBLIC_EVENTS.items()}


def _schema(event: Any) -> bytes:
    schema = {"$schema": DIALECT, **msgspec.json.schema(event)}
    return msgspec.json.format(msgspec.json.encode(schema, order="sorted"), indent=2) + b"\n"
