"""The prediction event that producers write to `predictions`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

RequestId = Annotated[
    str,
    Meta(min_length=1, max_length=256, description="Unique per model; joins the prediction with its label."),
]
# `$` alone would let a last line feed pass.
ModelName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:/-]{1,128}$(?!\n)", description="A model of driftline.yaml.")]
Scalar = float | str | bool


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """A model's answer to one request. Unknown fields are ignored and counted."""

    request_id: RequestId
    model: ModelName
    model_version: ModelName
    features: dict[str, Scalar | None]
    prediction: Scalar
    ts: Annotated[str | None, Meta(description="RFC 3339; the Kafka timestamp where absent.")] = None
    scores: Annotated[
        dict[str, float] | float | None,
        Meta(description="Probability per class; a single number is the positive class's."),
    ] = None
    segments: Annotated[
        dict[str, Scalar | None] | None, Meta(description="Dimension to value; else taken from the features.")
    ] = None
    latency_ms: float | None = None
    error: str | None = None
