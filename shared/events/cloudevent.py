"""CloudEvents 1.0 in structured JSON mode: the envelope of everything that outsiders read."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar

import msgspec

Data = TypeVar("Data", bound=msgspec.Struct)

CONTENT_TYPE = (("content-type", b"application/cloudevents+json; charset=utf-8"),)


class CloudEvent(msgspec.Struct, Generic[Data], frozen=True, kw_only=True, omit_defaults=False):
    """One event. `id` is deterministic: a repeated event is the same event."""

    id: str
    source: str
    type: str
    subject: str
    time: str
    data: Data
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: Literal["application/json"] = "application/json"
