"""Retraining requests and their fate, on the `retraining` topic (key = effect id, compacted)."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from shared.events.cloudevent import CloudEvent


class RetrainingState(StrEnum):
    """The `type` is `driftline.retraining.<state>`."""

    REQUESTED = "requested"
    HELD = "held"
    AWAITING_APPROVAL = "awaiting_approval"
    ACCEPTED = "accepted"
    RUNNING = "running"
    FAILED = "failed"
    SUCCEEDED = "succeeded"
    VALIDATED = "validated"
    PROMOTED = "promoted"
    REJECTED = "rejected"
    ROLLED_BACK = "rolled_back"


class Retraining(msgspec.Struct, frozen=True, kw_only=True):
    """One decision. Written before anything is sent; the outcome is a later record of the same key."""

    effect_id: str
    model: str
    model_version: str
    state: RetrainingState
    cause: str  # which rule of `when:` decided: on_drift, on_accuracy_drop, scheduled_weekly, ...
    reason: str | None  # why it is held or failed
    incident_id: str | None
    alert_id: str
    alerts_partition: int
    alerts_offset: int
    decided_at: str  # log time of the alert that decided
    watched_since: str | None = None  # log time of the model's first heartbeat: what schedules count from
    run_url: str | None = None
    attempts: int = 0


RetrainingEvent = CloudEvent[Retraining]
