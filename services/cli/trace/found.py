"""What is found of one request, in order of flow."""

from __future__ import annotations

import msgspec

from shared.events.block import BlockKind


class Half(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `driftline.halves`, and the event that it came from; an erasure came from none."""

    kind: BlockKind
    model_version: str
    at: str  # topic-partition@offset
    row: int
    log_time: str
    configuration_hash: str
    ts: str | None
    event: str | None  # topic-partition@offset
    is_event_kept: bool


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One row of `driftline.observations`; of copies the first."""

    kind: BlockKind
    model_version: str
    at: str
    row: int
    log_time: str
    ts: str
    segments: dict[str, str | None]
    prediction: float | str | None
    label: float | str | None
    served_row: int | None  # which prediction of its model version it is; None where the log has lost its beginning


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Closed windows of one segment that took the same rows of the model."""

    model_version: str
    segment: str
    first_served_row: int
    last_served_row: int
    series: int  # how many columns


class Covering(msgspec.Struct, frozen=True, kw_only=True):
    """An incident that was open, or had begun, when the prediction was made."""

    incident_id: str
    model_version: str
    kind: str
    severity: str
    since: str
    until: str | None  # None: it is open
    state: str
    is_inside_segments: bool  # all that it tells of are segments, one of which is the request's


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """One request. `not_covered`: what could not be looked at."""

    model: str
    identity: str  # the keyed hash
    halves: list[Half]
    observations: list[Observation]
    cohorts: list[str]  # served rows of all traffic whose labels are judged together
    windows: list[Window]
    incidents: list[Covering]
    is_erased: bool
    not_covered: list[str]

    @property
    def is_found(self) -> bool:
        """Tell whether any log has it."""
        return bool(self.halves or self.observations)
