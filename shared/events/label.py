"""The label event that producers write to `ground-truth`, when the truth is known."""

from __future__ import annotations

import msgspec

from shared.events.prediction import ModelName, RequestId, Scalar


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """The truth about one request. A later event with another value is a correction and replaces it."""

    request_id: RequestId
    model: ModelName
    ts: str
    label: Scalar
    label_version: int | None = None
    source: str | None = None
