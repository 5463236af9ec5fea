"""`fairness:` in `driftline.yaml`: between whom a binary model's answers are compared, and how unequal they may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from shared.errors import ConfigurationError

if TYPE_CHECKING:
    from shared.monitors import ModelSpec

DIFFERENCES = ("demographic_parity_difference", "equal_opportunity_difference", "equalized_odds_difference")
RATIOS = ("demographic_parity_ratio", "equal_opportunity_ratio", "equalized_odds_ratio")
METRICS = tuple(name for both in zip(DIFFERENCES, RATIOS, strict=True) for name in both)


class FairnessSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The dimensions whose values are compared, and the limits beyond which it is told of."""

    protected: list[str]
    limits: dict[str, float] = {}  # by metric: the most of a difference, the least of a ratio
    min_count: Annotated[int, Meta(ge=1, le=1_000_000)] = 30  # events of a rate, so that its group is compared


class FairnessRule(msgspec.Struct, frozen=True, kw_only=True):
    """One limit on one dimension."""

    dimension: str
    metric: str
    limit: float

    @property
    def text(self) -> str:
        """Return what people read."""
        return f"{self.metric} of {self.dimension} {'above' if self.is_difference else 'below'} {self.limit:g}"

    @property
    def is_difference(self) -> bool:
        """Tell whether larger values are worse."""
        return self.metric in DIFFERENCES


def fairness_rules(spec: FairnessSpec | None) -> list[FairnessRule]:
    """Return the limits of a model, by dimension."""
    if spec is None:
        return []
    return [
        FairnessRule(dimension=dimension, metric=metric, limit=limit)
        for dimension in spec.protected
        for metric, limit in spec.limits.items()
    ]


def check_fairness(path: str, model: ModelSpec) -> None:
    """Refuse what cannot be compared.

    Raises:
        ConfigurationError: naming the path of the mistake.
    """
    spec = model.fairness
    if spec is None:
        return
    if model.task != "binary":
        raise ConfigurationError(path, f"is of binary models, and this is a {model.task}")
    if not spec.protected:
        raise ConfigurationError(f"{path}.protected", "name at least one dimension")
    for number, dimension in enumerate(spec.protected):
        if (dimension,) not in model.crosses:
            raise ConfigurationError(f"{path}.protected.{number}", f"{dimension!r} is none of the model's segments")
        if dimension in spec.protected[:number]:
            raise ConfigurationError(f"{path}.protected.{number}", f"{dimension!r} is given twice")
    for metric, limit in spec.limits.items():
        if metric not in METRICS:
            raise ConfigurationError(f"{path}.limits.{metric}", f"is no metric; there are {', '.join(METRICS)}")
        if not 0.0 < limit < 1.0:
            raise ConfigurationError(f"{path}.limits.{metric}", f"{limit:g} is not between 0 and 1")
