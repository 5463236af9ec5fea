"""What a consumer has to tell beside rows: said in `driftline.halves` itself, since nothing else may tell a fold."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from shared.errors import Corrupt
from shared.unreadable import UNREADABLE


class UnknownFeatures(msgspec.Struct, frozen=True, tag="unknown_features"):
    """Producers of a model send features that its definition does not have; told again while they do."""

    model: str
    names: list[str]  # sorted; each may name a feature
    more: int = 0  # other names, at least: beyond those that one record lists, or that may not name a feature


class TakenUp(msgspec.Struct, frozen=True, tag="taken_up"):
    """A consumer works from another definition of a model, or baseline, from now on."""

    model: str
    config_version: int
    config_hash: str


News: TypeAlias = UnknownFeatures | TakenUp


def encode_news(news: News) -> bytes:
    """Return the content of the header `news`, in which it travels with a tick."""
    return msgspec.json.encode(news)


def decode_news(content: bytes) -> News:
    """Return what a header tells.

    Raises:
        Corrupt: nothing of the kind.
    """
    try:
        news: News = msgspec.json.decode(content, type=News)
    except UNREADABLE as exc:
        raise Corrupt(f"no news: {exc}") from exc
    return news
