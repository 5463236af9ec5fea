"""`cost:` in `driftline.yaml`: what an error of a binary model costs, in money of any kind."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from shared.errors import ConfigurationError

Money = Annotated[float, Meta(ge=0, le=1e12)]


class CostSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The price of each kind of error."""

    false_negative: Money = 0.0
    false_positive: Money = 0.0


def check_cost(path: str, task: str, cost: CostSpec | None) -> None:
    """Refuse prices that say nothing.

    Raises:
        ConfigurationError: naming the path, of the prices at `path`.
    """
    if cost is None:
        return
    if task != "binary":
        raise ConfigurationError(path, f"a {task} task has no false negatives and false positives")
    if cost.false_negative == cost.false_positive == 0.0:
        raise ConfigurationError(path, "every error is free; give false_negative, false_positive or both")
