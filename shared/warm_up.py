"""`warm_up:` in `driftline.yaml`: a model without a reference learns its baseline from its first traffic.

Until then nothing is known of its columns but what the configuration declares, so that has to be all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.durations import parse_duration
from shared.errors import ConfigurationError
from shared.pairs import TRUTHS
from shared.rules import read_rules
from shared.values import class_text

if TYPE_CHECKING:
    from shared.monitors import ModelSpec


def check_warm_up(path: str, spec: ModelSpec) -> None:
    """Refuse a model that has neither a reference nor a warm-up, both, or a warm-up without what it takes.

    Raises:
        ConfigurationError: naming the path of the mistake, of the model at `path`.
    """
    if spec.warm_up is None:
        if spec.reference is None:
            raise ConfigurationError(
                f"{path}.reference", "give a file, or `warm_up: 7d` to learn the baseline from the first predictions"
            )
        if spec.classes:
            raise ConfigurationError(f"{path}.classes", "the reference says which there are; only a warm_up needs them")
        return
    if spec.reference is not None:
        raise ConfigurationError(
            f"{path}.warm_up", "the model has a reference and learns none; leave one of the two out"
        )
    try:
        parse_duration(spec.warm_up)
    except ValueError as exc:
        raise ConfigurationError(f"{path}.warm_up", str(exc)) from exc
    if not spec.features:
        raise ConfigurationError(f"{path}.features", "without a reference, name every feature with its kind")
    for name, feature in spec.features.items():
        if feature.kind is None:
            raise ConfigurationError(
                f"{path}.features.{name}.kind", "numeric or categorical: without a reference it has to be said"
            )
    _check_classes(f"{path}.classes", spec)
    _check_rules(f"{path}.alerts.rules", spec)


def _check_classes(path: str, spec: ModelSpec) -> None:
    texts = [class_text(value) for value in spec.classes]
    if len(set(texts)) != len(texts):
        raise ConfigurationError(path, "a class is given twice")
    if spec.task in ("regression", "ranking"):
        if texts:
            raise ConfigurationError(path, f"a {spec.task} has none")
    elif spec.task == "multiclass":
        if len(texts) < 2:
            raise ConfigurationError(path, "without a reference, name every class: two or more")
    elif len(texts) != 2 or spec.positive not in texts:
        raise ConfigurationError(path, "without a reference, name both classes, the positive one among them")


def _check_rules(path: str, spec: ModelSpec) -> None:
    """Refuse a rule about a column that there will not be; the rest is known with the baseline only."""
    known = {*spec.features, "prediction", *(["score"] if spec.task == "binary" else [])}
    if spec.task == "multiclass":
        known |= {f"score_{class_text(value)}" for value in spec.classes}
    for number, rule in enumerate(read_rules(path, spec.alerts.rules)):
        condition = rule.condition
        for column, names in ((condition.column, known), (condition.second, known.union(TRUTHS))):
            if column is not None and column not in names:
                raise ConfigurationError(f"{path}.{number}", f"{rule.text}: there is no column {column!r}")
