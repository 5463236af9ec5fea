"""The label event that producers write to `ground-truth`, when the truth is known."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from shared.events.prediction import Items, ModelName, RequestId, Scalar
from shared.events.ranking import MAX_GAIN, MAX_ITEMS

Gains = Annotated[dict[str, Annotated[float, Meta(ge=0, le=MAX_GAIN)]], Meta(max_length=MAX_ITEMS)]


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """The truth about one request. A later event with another value is a correction and replaces it."""

    request_id: RequestId
    model: ModelName
    ts: str
    label: Annotated[
        Scalar | Gains | Items, Meta(description="Of a ranking: what items are worth; of a list each is worth 1.")
    ]
    label_version: int | None = None
    source: str | None = None
