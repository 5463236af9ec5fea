"""`driftline.yaml`: WHAT to watch. Decoded strictly; a mistake refuses to start and names its path."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import msgspec
import yaml
from msgspec import Meta

from shared.challengers import ChallengersSpec, check_challengers
from shared.cost import CostSpec, check_cost
from shared.degradation import Degradation, DegradationSpec, read_degradation
from shared.detectors import DetectorSpec, check_detectors
from shared.durations import parse_duration
from shared.errors import ConfigurationError, Malformed
from shared.estimates import EstimatesSpec
from shared.fairness import FairnessSpec, check_fairness
from shared.notify import ChannelSpec, NotifyRoute, check_notify
from shared.pairs import Pairs, check_pairs
from shared.quality import Format, QualitySpec, check_pattern, read_expectations
from shared.ranking import RankingSpec, check_ranking, cutoffs
from shared.reference import ReferenceSpec, TrailingDays, trailing_days
from shared.rules import RuleSpec, read_rules
from shared.strict_yaml import StrictLoader
from shared.values import class_text, identifier
from shared.warm_up import check_warm_up
from shared.watchdog import WatchdogSpec, check_watchdog
from shared.webhooks import WebhookSpec, check_webhook

MAX_BYTES = 256 * 1024
MAX_MODELS, MAX_FEATURES, MAX_DIMENSIONS, MAX_CLASSES = 1_000, 512, 16, 1_000
NOT_YET = "not supported in this version"

_UNKNOWN_KEY = re.compile("Object contains unknown field `(.*)`")

T = TypeVar("T")
Task = Literal["binary", "multiclass", "regression", "ranking"]
Positive = Annotated[float, Meta(gt=0)]


class _Spec(msgspec.Struct, frozen=True, omit_defaults=True):
    """A part of a model's configuration, which is hashed as JSON.

    What is not said is left out, so that a key of a later release changes no hash; a default never changes.
    """


class FeatureSpec(_Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a feature beforehand, or wanted. Values outside [min, max] are counted and become missing."""

    min: float | None = None
    max: float | None = None
    kind: Literal["numeric", "categorical"] | None = None
    gate: Positive | None = None  # how large a change must be to matter, as PSI
    required: bool = False  # a row without it is amiss, whatever the reference holds
    format: Format | None = None  # of its texts
    pattern: str | None = None  # of RE2, that describes each of its texts from end to end
    hash: bool = False  # of its values, and of the segment's of this name, only keyed hashes are kept


class AlertsSpec(_Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The budget that every calibrated threshold is derived from, and the rules that stand outside it."""

    false_pages_per_month: Positive = 2.0
    rules: list[str | RuleSpec] = []


class ActionSpec(_Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to call."""

    webhook: WebhookSpec


class RetrainSpec(_Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to ask for a retraining, how often at most, and whom."""

    when: str
    action: ActionSpec
    cool_down: str = "1d"


class ModelSpec(_Spec, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One model."""

    task: Task
    reference: str | ReferenceSpec | None = None
    warm_up: str | None = None
    positive_class: float | str | bool | None = None
    classes: Annotated[list[float | str | bool], Meta(max_length=MAX_CLASSES)] = []
    segments: list[str | list[str]] = []
    new_segments: Annotated[int, Meta(ge=0, le=2_000)] = 50
    label_horizon: str = "90d"
    features: dict[str, FeatureSpec] = {}
    pairs: Pairs | None = None
    joint: Pairs | None = None
    quality: QualitySpec = QualitySpec()
    alerts: AlertsSpec = AlertsSpec()
    degradation: Degradation = {}
    cost: CostSpec | None = None
    estimates: EstimatesSpec = EstimatesSpec()
    detectors: list[DetectorSpec] = []
    challengers: ChallengersSpec | None = None
    fairness: FairnessSpec | None = None
    retrain: RetrainSpec | None = None
    watchdog: WatchdogSpec = WatchdogSpec()
    quantile: Annotated[float, Meta(gt=0, lt=1)] | None = None
    ranking: RankingSpec | None = None
    events_per_week: Positive | None = None
    cycle: Literal["none", "day", "week"] = "day"
    spread: Annotated[int, Meta(ge=1, le=1024)] = 1

    def without_secrets(self) -> ModelSpec:
        """Return the spec as it may be published: an action's secret and its URL's path stay in the file."""
        if self.retrain is None:
            return self
        action = msgspec.structs.replace(self.retrain.action, webhook=self.retrain.action.webhook.without_secrets())
        return msgspec.structs.replace(self, retrain=msgspec.structs.replace(self.retrain, action=action))

    @property
    def detection(self) -> ModelSpec:
        """Return the spec without what may change while a watch goes on."""
        return msgspec.structs.replace(self, challengers=None, retrain=None, watchdog=WatchdogSpec())

    @property
    def horizon_ms(self) -> int:
        """Return how long a prediction waits for its label."""
        return parse_duration(self.label_horizon)

    @property
    def warm_up_ms(self) -> int | None:
        """Return how much stream time the baseline is learned from; None for a model that has a reference."""
        return None if self.warm_up is None else parse_duration(self.warm_up)

    @property
    def reference_file(self) -> str:
        """Return the file of the reference; a model that warms up has none."""
        if self.reference is None:
            raise ValueError("a model that warms up has no reference")
        return self.reference if isinstance(self.reference, str) else self.reference.file

    @property
    def trailing(self) -> TrailingDays | None:
        """Return the days that windows are compared with, where that is chosen."""
        return trailing_days("reference", self.reference)

    @property
    def positive(self) -> str:
        """Return the positive class's text; only binary tasks have one."""
        if self.positive_class is None:
            raise ValueError(f"a {self.task} task has no positive class")
        return class_text(self.positive_class)

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Return every segment dimension, also those that occur only in crosses, in order of first mention."""
        named = [d for s in self.segments for d in ([s] if isinstance(s, str) else s)]
        return tuple(dict.fromkeys(named))

    @property
    def hashed(self) -> frozenset[str]:
        """Return the features and dimensions of whose values only keyed hashes are kept."""
        return frozenset(name for name, feature in self.features.items() if feature.hash)

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """Return the lengths at which rankings are judged, the one that is watched first; empty for other tasks."""
        return cutoffs(self.task, self.ranking)

    @property
    def crosses(self) -> tuple[tuple[str, ...], ...]:
        """Return each configured segmentation as the tuple of its dimensions."""
        return tuple((s,) if isinstance(s, str) else tuple(s) for s in self.segments)


class Monitors(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    models: dict[str, ModelSpec]
    notify: list[NotifyRoute] = []
    channels: dict[str, ChannelSpec] = {}


# Keys of the full language that this release does not build: refused by name, never ignored.
_LATER: tuple[tuple[str, ...], ...] = (
    ("models", "*", "importance"),
    ("models", "*", "training_data"),
    ("models", "*", "validation_threshold"),
    ("models", "*", "approval"),
    ("models", "*", "retrain", "trigger"),
    ("models", "*", "retrain", "approval"),
    ("models", "*", "retrain", "validation_threshold"),
    ("models", "*", "retrain", "training_data"),
    ("models", "*", "retrain", "action", "airflow"),
    ("channels", "*", "slack"),
    ("channels", "*", "pagerduty"),
    ("channels", "*", "teams"),
    ("channels", "*", "email"),
    ("channels", "*", "alertmanager"),
)


def read_monitors(path: Path) -> Monitors:
    """Return the configuration in `path`.

    Raises:
        ConfigurationError: the file cannot be read, or something in it is wrong; names the path of the mistake.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise ConfigurationError(str(path), f"cannot be read: {exc.strerror}") from exc
    return parse_monitors(content)


def parse_monitors(content: bytes) -> Monitors:
    """Return the configuration in YAML `content`; raises like `read_monitors`."""
    if len(content) > MAX_BYTES:
        raise ConfigurationError("$", f"{len(content)} bytes; at most {MAX_BYTES}")
    try:
        tree = yaml.load(content, Loader=StrictLoader)  # noqa: S506 - a SafeLoader with stricter rules
    except yaml.MarkedYAMLError as exc:
        where = "$" if exc.problem_mark is None else f"line {exc.problem_mark.line + 1}"
        raise ConfigurationError(where, f"not YAML: {exc.problem}") from exc
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as exc:
        raise ConfigurationError("$", f"not YAML: {type(exc).__name__}") from exc
    _refuse_later(tree, ())
    _decode_each(tree)
    monitors = _decode(tree, Monitors, ())
    _check(monitors)
    return monitors


def _decode_each(tree: object) -> None:
    """Refuse the first model, feature or channel that does not decode, by its name: msgspec says `[...]` for all."""
    for name, model in _entries(tree, "models"):
        for feature, spec in _entries(model, "features"):
            _decode(spec, FeatureSpec, ("models", name, "features", feature))
        for metric, rules in _entries(model, "degradation"):
            here = ("models", name, "degradation", metric)
            for number, rule in enumerate(rules) if isinstance(rules, list) else ():
                _decode(rule, DegradationSpec, (*here, str(number)))
            if not isinstance(rules, list):
                _decode(rules, DegradationSpec, here)
        _decode(model, ModelSpec, ("models", name))
    for name, channel in _entries(tree, "channels"):
        _decode(channel, ChannelSpec, ("channels", name))


def _entries(tree: object, key: str) -> list[tuple[str, object]]:
    entries = tree.get(key) if isinstance(tree, dict) else None
    return [(str(name), value) for name, value in entries.items()] if isinstance(entries, dict) else []


def _decode(tree: object, shape: type[T], path: tuple[str, ...]) -> T:
    try:
        return msgspec.convert(tree, shape)
    except msgspec.ValidationError as exc:
        message, _, where = str(exc).partition(" - at `")
        inside = [step for step in re.split(r"[.\[\]$`]+", where.partition("$")[2]) if step]
        unknown = _UNKNOWN_KEY.fullmatch(message)
        if unknown is not None:
            inside, message = [*inside, unknown[1]], "unknown key"
        elif where.startswith("key`"):
            message = "a name that is no text; put it in quotes"
        raise ConfigurationError(".".join((*path, *inside)) or "$", message) from exc


def _refuse_later(tree: object, path: tuple[str, ...]) -> None:
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, child in children:
        here = (*path, str(key))
        for later in _LATER:
            if len(later) == len(here) and all(a in ("*", b) for a, b in zip(later, here, strict=True)):
                raise ConfigurationError(".".join(here), NOT_YET)
        _refuse_value(here, child)
        _refuse_later(child, here)


def _refuse_value(path: tuple[str, ...], value: object) -> None:
    """Refuse numbers that are none."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigurationError(".".join(path), f"{value} is not a number")


def _check(monitors: Monitors) -> None:
    if not monitors.models:
        raise ConfigurationError("models", "watch at least one model")
    if len(monitors.models) > MAX_MODELS:
        raise ConfigurationError("models", f"{len(monitors.models)} models; at most {MAX_MODELS}")
    for name, model in monitors.models.items():
        _check_model(f"models.{name}", name, model)
    for name in monitors.channels:
        _check_name(f"channels.{name}", name)
    check_notify(monitors.notify, monitors.channels, monitors.models)


def _check_task(path: str, model: ModelSpec) -> None:
    if model.task == "binary" and model.positive_class is None:
        raise ConfigurationError(f"{path}.positive_class", "a binary task needs it")
    if model.task != "binary" and model.positive_class is not None:
        raise ConfigurationError(f"{path}.positive_class", f"a {model.task} task has none")
    if model.task != "regression" and model.quantile is not None:
        raise ConfigurationError(f"{path}.quantile", f"a {model.task} task predicts none")
    if model.task == "ranking" and model.estimates.alert is not None:
        raise ConfigurationError(f"{path}.estimates.alert", "nothing is estimated of a ranking task")
    check_ranking(f"{path}.ranking", model.task, model.ranking)


def _check_model(path: str, name: str, model: ModelSpec) -> None:
    named = [(name, path)]
    named += [(dimension, f"{path}.segments") for dimension in model.dimensions]
    named += [(feature, f"{path}.features") for feature in model.features]
    for text, where in named:
        _check_name(where, text)
    _check_task(path, model)
    if len(model.dimensions) > MAX_DIMENSIONS:
        raise ConfigurationError(f"{path}.segments", f"{len(model.dimensions)} dimensions; at most {MAX_DIMENSIONS}")
    if any(not cross or len(set(cross)) != len(cross) for cross in model.crosses):
        raise ConfigurationError(f"{path}.segments", "a cross names at least one dimension, each once")
    if len(set(model.crosses)) != len(model.crosses):
        raise ConfigurationError(f"{path}.segments", "a segmentation is given twice")
    if len(model.features) > MAX_FEATURES:
        raise ConfigurationError(f"{path}.features", f"{len(model.features)} features; at most {MAX_FEATURES}")
    _check_features(f"{path}.features", model)
    check_pairs(f"{path}.pairs", model.pairs)
    check_pairs(f"{path}.joint", model.joint)
    _check_duration(f"{path}.label_horizon", model.label_horizon)
    read_expectations(f"{path}.quality.expect", model.quality.expect)
    trailing_days(f"{path}.reference", model.reference)
    check_warm_up(path, model)
    read_rules(f"{path}.alerts.rules", model.alerts.rules)
    read_degradation(f"{path}.degradation", model)
    check_cost(f"{path}.cost", model.task, model.cost)
    check_detectors(f"{path}.detectors", model.detectors)
    check_watchdog(f"{path}.watchdog", model.watchdog)
    check_challengers(f"{path}.challengers", model.challengers, model.task)
    check_fairness(f"{path}.fairness", model)
    if model.retrain is not None:
        _check_duration(f"{path}.retrain.cool_down", model.retrain.cool_down)
        try:
            parse_when(model.retrain.when)
        except ValueError as exc:
            raise ConfigurationError(f"{path}.retrain.when", str(exc)) from exc
        check_webhook(f"{path}.retrain.action.webhook", model.retrain.action.webhook)


def _check_features(path: str, model: ModelSpec) -> None:
    for feature, spec in model.features.items():
        if spec.min is not None and spec.max is not None and spec.min > spec.max:
            raise ConfigurationError(f"{path}.{feature}", f"min {spec.min} is above max {spec.max}")
        if spec.hash and (spec.kind == "numeric" or spec.min is not None or spec.max is not None):
            raise ConfigurationError(f"{path}.{feature}.hash", "a hash is a category, and has no range")
        if spec.format is not None and (spec.hash or spec.kind == "numeric"):
            raise ConfigurationError(f"{path}.{feature}.format", "only texts have a format, and a hash has none")
        if spec.pattern is not None:
            here = f"{path}.{feature}.pattern"
            check_pattern(here, spec.pattern)
            if spec.hash or spec.kind == "numeric":
                raise ConfigurationError(here, "only texts have a pattern, and a hash has none")
            if spec.format is not None:
                raise ConfigurationError(here, f"the format {spec.format} says what its texts are: give one of both")


def _check_name(path: str, text: str) -> None:
    try:
        identifier(text)
    except Malformed as exc:
        raise ConfigurationError(path, f"{text!r}: {exc.detail}") from exc


def _check_duration(path: str, text: str) -> None:
    try:
        parse_duration(text)
    except ValueError as exc:
        raise ConfigurationError(path, str(exc)) from exc


RETRAIN_TRIGGERS = ("on_drift", "on_accuracy_drop", "scheduled_daily", "scheduled_weekly", "scheduled_monthly")


def parse_when(text: str) -> tuple[str, ...]:
    """Return the triggers of `a OR b`, in order.

    Raises:
        ValueError: a word that is no trigger.
    """
    words = [word.strip() for word in text.split(" OR ")]
    for word in words:
        if word not in RETRAIN_TRIGGERS:
            raise ValueError(f"{word!r} is no trigger; join some of {', '.join(RETRAIN_TRIGGERS)} by OR")
    return tuple(dict.fromkeys(words))
