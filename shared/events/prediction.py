"""The prediction event that producers write to `predictions`."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from shared.events.ranking import MAX_ITEMS
from shared.values import MAX_CATEGORY_CHARS

RequestId = Annotated[
    str,
    Meta(min_length=1, max_length=256, description="Unique per model; joins the prediction with its label."),
]
# `$` alone would let a last line feed pass.
ModelName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:/-]{1,128}$(?!\n)", description="A model of driftline.yaml.")]
Scalar = float | str | bool
Items = Annotated[
    list[Annotated[str, Meta(min_length=1, max_length=MAX_CATEGORY_CHARS)] | int],
    Meta(max_length=MAX_ITEMS, description='Items, each once; 1 and "1" are the same.'),
]


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """A model's answer to one request. Unknown fields are ignored and counted."""

    request_id: RequestId
    model: ModelName
    model_version: ModelName
    features: dict[str, Scalar | None]
    ts: Annotated[str | None, Meta(description="RFC 3339; the Kafka timestamp where absent.")] = None
    scores: Annotated[
        dict[str, float] | float | None,
        Meta(description="Probability per class; a single number is the positive class's."),
    ] = None
    segments: Annotated[
        dict[str, Scalar | None] | None, Meta(description="Dimension to value; else taken from the features.")
    ] = None
    prediction: Annotated[
        Scalar | Items | None,
        Meta(description="Of a ranking: items, best first. Absent or null only where `error` says why there is none."),
    ] = None
    latency_ms: Annotated[float | None, Meta(description="How long the model's service took.")] = None
    error: Annotated[str | None, Meta(description="Why the service failed; empty where it did not.")] = None
