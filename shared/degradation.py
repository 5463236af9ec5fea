"""`degradation:` in `driftline.yaml`: how bad a metric of labelled predictions may get, beside what is calibrated.

Each metric, by the name that the performance table has for it, takes one rule or a list of them; one of a single class
is `recall[setosa]`, and `cost` is there where errors have prices. A rule says one of six
things, and only in the direction in which the metric is worse:

    below: 0.85, above: 1.2     the value itself
    drop: 0.05, rise: 0.4       how far it is from the reference's
    drop: 20%, rise: 20%        the same as a share of the reference's
    from: 0.90, to: 0.82        it was that good once, and is that bad now
    p_value: 0.01               it is worse than the reference's, and chance does that so rarely
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
from msgspec import field

from shared.errors import ConfigurationError
from shared.events.alert import Severity
from shared.values import class_text

if TYPE_CHECKING:
    from shared.monitors import ModelSpec

MAX_RULES, MAX_COHORTS = 64, 1_000
MAX_NAMED_CLASSES = 20  # with more, a metric of each class would be a table that nobody reads
COST = "cost"
OF_ONE_CLASS = ("precision", "recall", "f1")

_PERCENT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?%")
_CLASS = re.compile(r"([a-z0-9_]+)\[(.+)\]", re.DOTALL)
_COHORTS = re.compile(r"(\d{1,9}) cohorts?")


class Worse(StrEnum):
    """Where a metric is worse."""

    LOWER = "lower"
    HIGHER = "higher"
    AWAY = "away"  # from 0, on either side


class Metric(msgspec.Struct, frozen=True):
    """What is known of a metric's values."""

    worse: Worse
    low: float  # no value is less, and
    high: float  # none is more
    has_interval: bool = True


_SHARE, _RATE = Metric(Worse.LOWER, 0.0, 1.0), Metric(Worse.HIGHER, 0.0, 1.0)
_LOSS = Metric(Worse.HIGHER, 0.0, float("inf"))
_OF_CLASSES = {
    "accuracy": _SHARE,
    "balanced_accuracy": _SHARE,
    "mcc": Metric(Worse.LOWER, -1.0, 1.0),
    "log_loss": _LOSS,
    "ece": _RATE,
}
METRICS: Mapping[str, Mapping[str, Metric]] = {
    "binary": {
        **_OF_CLASSES,
        **dict.fromkeys(("precision", "recall", "f1", "specificity", "tpr", "tnr"), _SHARE),
        **dict.fromkeys(("fpr", "fnr", "brier"), _RATE),
        **dict.fromkeys(("roc_auc", "average_precision"), _SHARE),
    },
    "multiclass": {
        **_OF_CLASSES,
        **{
            f"{name}_{mean}": _SHARE
            for name in ("precision", "recall", "f1")
            for mean in ("macro", "micro", "weighted")
        },
        "brier": Metric(Worse.HIGHER, 0.0, 2.0),
        **dict.fromkeys(("roc_auc_macro", "average_precision_macro"), _SHARE),
    },
    "regression": {
        **dict.fromkeys(("mae", "mse", "rmse", "mape", "rmsle"), _LOSS),
        "smape": Metric(Worse.HIGHER, 0.0, 2.0),
        "mean_error": Metric(Worse.AWAY, float("-inf"), float("inf")),
        "r2": Metric(Worse.LOWER, float("-inf"), 1.0, has_interval=False),
        "quantile_loss": Metric(Worse.HIGHER, 0.0, float("inf"), has_interval=False),
    },
    "ranking": {"mrr": _SHARE},
}
AT_CUTOFF = ("ndcg", "map", "precision", "recall", "hit_rate")  # of a ranking, each followed by `@k`


class DegradationSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One rule about one metric. Of the forms, exactly one is given; `from` and `to` are one."""

    below: float | None = None
    above: float | None = None
    drop: float | str | None = None
    rise: float | str | None = None
    start: float | None = field(default=None, name="from")
    end: float | None = field(default=None, name="to")
    p_value: float | None = None
    lasts: str | None = field(default=None, name="for")
    severity: Severity = Severity.CRITICAL
    segments: bool = False  # look at every segment as well, each on its own


Degradation = dict[str, DegradationSpec | list[DegradationSpec]]
"""The section: by metric, its rule or rules."""


class Form(StrEnum):
    """What a rule compares a value with."""

    LIMIT = "limit"  # a number
    CHANGE = "change"  # the reference's value and so much more or less
    SHARE = "share"  # the reference's value and such a share of it
    FROM_TO = "from_to"  # a number that counts only after a better one
    P_VALUE = "p_value"  # the reference's value, and how sure both are


class DegradationRule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it is watched."""

    metric: str
    form: Form
    worse: Worse  # on which side of what it is compared with
    number: float  # a limit, a change, a share, a last value, or a chance
    start: float = 0.0  # the first value
    cohorts: int = 1  # in a row
    severity: Severity = Severity.CRITICAL
    segments: bool = False

    @property
    def column(self) -> str:
        """Return the metric's name in the performance table."""
        name, label = of_class(self.metric)
        return self.metric if label is None else f"{name}_{label}"

    @property
    def text(self) -> str:
        """Return what people read."""
        number, name = repr(self.number).removesuffix(".0"), self.metric
        is_lower = self.worse is Worse.LOWER
        match self.form:
            case Form.LIMIT:
                said = f"{name} {'below' if is_lower else 'above'} {number}"
            case Form.CHANGE:
                said = f"{name} {'drop' if is_lower else 'rise'} {number}"
            case Form.SHARE:
                said = f"{name} {'drop' if is_lower else 'rise'} {100 * self.number:.6g}%"
            case Form.FROM_TO:
                said = f"{name} from {repr(self.start).removesuffix('.0')} to {number}"
            case Form.P_VALUE:
                said = f"{name} p_value {number}"
        lasts = f" for {self.cohorts} cohorts" if self.cohorts > 1 else ""
        return f"{said}{' in segments' if self.segments else ''}{lasts}"

    @property
    def heard_at_once(self) -> bool:
        """Tell whether it is the rule on the last 1,000 labels, which waits for no cohort."""
        is_plain = self.cohorts == 1 and not self.segments and self.severity is Severity.CRITICAL
        return self.metric == "accuracy" and self.form is Form.CHANGE and is_plain


def accuracy_drop(spec: ModelSpec) -> float | None:
    """Return the least drop of accuracy that is looked for in the last labels; None where none is."""
    drops = [rule.number for rule in read_degradation("", spec) if rule.heard_at_once]
    return min(drops, default=None)


def metrics_of(task: str, cutoffs: Sequence[int]) -> Mapping[str, Metric]:
    """Return the metrics that rules may name; cutoffs: the lengths of a model that ranks."""
    return {**{f"{name}@{k}": _SHARE for k in cutoffs for name in AT_CUTOFF}, **METRICS[task]}


def of_class(metric: str) -> tuple[str, str | None]:
    """Return a metric's name, and the class that `recall[setosa]` is of; None where it is of no single one."""
    found = _CLASS.fullmatch(metric)
    return (metric, None) if found is None else (found[1], found[2])


def why_no_class(metric: str, classes: Sequence[str]) -> str:
    """Return why a model of these classes has no such metric of a class; empty where it has."""
    _, label = of_class(metric)
    if label is None:
        return ""
    if len(classes) > MAX_NAMED_CLASSES:
        return f"metrics are told of each class where there are up to {MAX_NAMED_CLASSES}; there are {len(classes)}"
    return "" if label in classes else f"no class is {label[:40]!r}; there are {', '.join(classes)}"


def read_degradation(path: str, spec: ModelSpec) -> tuple[DegradationRule, ...]:
    """Return the rules of a model's `degradation`, which stands in the configuration under `path`.

    Raises:
        ConfigurationError: one of them is none; names its path.
    """
    rules = list[DegradationRule]()
    for name, given in spec.degradation.items():
        here = f"{path}.{name}"
        metric = _metric(here, name, spec)
        if isinstance(given, list) and not given:
            raise ConfigurationError(here, "names no rule")
        for where, one in _each(here, given):
            rule = _rule(where, name, metric, one)
            if any(msgspec.structs.replace(rule, severity=other.severity) == other for other in rules):
                raise ConfigurationError(where, f"the rule {rule.text} is given twice")
            rules.append(rule)
    if len(rules) > MAX_RULES:
        raise ConfigurationError(path, f"{len(rules)} rules; at most {MAX_RULES}")
    return tuple(rules)


def _metric(path: str, name: str, spec: ModelSpec) -> Metric:
    """Return what is known of a metric that the model has."""
    metrics = metrics_of(spec.task, spec.cutoffs)
    plain, label = of_class(name)
    if label is not None and spec.task == "multiclass" and plain in OF_ONE_CLASS:
        why = why_no_class(name, [class_text(one) for one in spec.classes]) if spec.classes else ""
        if why:
            raise ConfigurationError(path, why)
        return _SHARE
    if name == COST and spec.task == "binary":
        if spec.cost is None:
            raise ConfigurationError(path, "errors have no prices; give them in cost")
        return _LOSS
    if name in metrics:
        return metrics[name]
    of_classes = [f"{one}[<class>]" for one in OF_ONE_CLASS] if spec.task == "multiclass" else []
    has = sorted([*metrics, *of_classes, *([COST] if spec.task == "binary" else [])])
    raise ConfigurationError(path, f"a {spec.task} task has no {name}; it has {', '.join(has)}")


def _each(path: str, given: DegradationSpec | list[DegradationSpec]) -> Iterator[tuple[str, DegradationSpec]]:
    if isinstance(given, list):
        yield from ((f"{path}.{number}", one) for number, one in enumerate(given))
    else:
        yield path, given


def _rule(path: str, name: str, metric: Metric, spec: DegradationSpec) -> DegradationRule:
    forms = {
        "below": spec.below,
        "above": spec.above,
        "drop": spec.drop,
        "rise": spec.rise,
        "from": spec.start,
        "p_value": spec.p_value,
    }
    given = [key for key, value in forms.items() if value is not None]
    if (spec.start is None) is not (spec.end is None):
        raise ConfigurationError(path, "from and to belong together: the value it had, and the one it must not reach")
    if len(given) != 1:
        raise ConfigurationError(
            path, f"give one of below, above, drop, rise, from and to, or p_value; not {len(given)}"
        )
    (key,) = given
    worse = _side(path, key, name, metric)
    form, number = _compared(path, key, name, metric, spec)
    return DegradationRule(
        metric=name,
        form=form,
        worse=worse,
        number=number,
        start=spec.start or 0.0,
        cohorts=1 if spec.lasts is None else _cohorts(f"{path}.for", spec.lasts),
        severity=spec.severity,
        segments=spec.segments,
    )


def _side(path: str, key: str, name: str, metric: Metric) -> Worse:
    """Return on which side a rule fires; one that would fire where the metric is better is refused."""
    sides = {"below": Worse.LOWER, "drop": Worse.LOWER, "above": Worse.HIGHER, "rise": Worse.HIGHER}
    side = sides.get(key)
    if metric.worse is Worse.AWAY and key == "from":
        raise ConfigurationError(path, f"{name} is best at 0 and worse on both sides; write below, above, drop or rise")
    if side is None or metric.worse is Worse.AWAY:
        return side or metric.worse
    if side is not metric.worse:
        other = {"below": "above", "above": "below", "drop": "rise", "rise": "drop"}[key]
        raise ConfigurationError(f"{path}.{key}", f"{name} is worse the {metric.worse} it is; write {other}")
    return side


def _compared(path: str, key: str, name: str, metric: Metric, spec: DegradationSpec) -> tuple[Form, float]:
    where = f"{path}.{key}"
    if key == "p_value":
        chance = spec.p_value or 0.0
        if not 0.0 < chance <= 0.5:
            raise ConfigurationError(where, f"{chance:g} is no chance from above 0 to 0.5")
        if not metric.has_interval:
            raise ConfigurationError(where, f"{name} has no interval, so nothing tells its chance")
        return Form.P_VALUE, chance
    if key == "from":
        return Form.FROM_TO, _end(path, name, metric, spec)
    value = getattr(spec, key)
    if key in {"below", "above"}:
        return Form.LIMIT, _inside(where, name, metric, value)
    if isinstance(value, str):
        return Form.SHARE, _share(where, key, name, metric, value)
    if not 0.0 < value < metric.high - metric.low:
        most = "" if metric.high - metric.low == float("inf") else f" and less than {metric.high - metric.low:g}"
        raise ConfigurationError(where, f"{value:g}: a {key} of {name} is more than 0{most}, or a share like 20%")
    return Form.CHANGE, float(value)


def _share(path: str, key: str, name: str, metric: Metric, text: str) -> float:
    found = _PERCENT.fullmatch(text)
    if found is None:
        raise ConfigurationError(path, f"{text[:40]!r} is neither a number nor a share like 20%")
    if metric.worse is Worse.AWAY:
        raise ConfigurationError(path, f"{name} is about 0, of which no share says anything; give a number")
    percent = float(found[1])
    if percent <= 0.0 or (key == "drop" and percent >= 100.0):
        raise ConfigurationError(path, f"{text}: a {key} is more than 0%{' and less than 100%' * (key == 'drop')}")
    return percent / 100.0


def _inside(path: str, name: str, metric: Metric, value: float) -> float:
    """Return a limit that values can be on both sides of."""
    if not metric.low < value < metric.high and not (value == metric.low and metric.worse is Worse.HIGHER):
        raise ConfigurationError(path, f"{value:g}: {name} is from {metric.low:g} to {metric.high:g}")
    return float(value)


def _end(path: str, name: str, metric: Metric, spec: DegradationSpec) -> float:
    start, end = spec.start or 0.0, spec.end or 0.0
    for key, value in (("from", start), ("to", end)):
        if not metric.low <= value <= metric.high:
            raise ConfigurationError(f"{path}.{key}", f"{value:g}: {name} is from {metric.low:g} to {metric.high:g}")
    if start == end or (end > start) is (metric.worse is Worse.LOWER):
        raise ConfigurationError(
            f"{path}.to", f"{end:g} is no worse than {start:g}: {name} is worse the {metric.worse} it is"
        )
    return end


def _cohorts(path: str, text: str) -> int:
    found = _COHORTS.fullmatch(text)
    cohorts = 0 if found is None else int(found[1])
    if not 1 <= cohorts <= MAX_COHORTS:
        raise ConfigurationError(path, f"{text[:40]!r}: write 1 to {MAX_COHORTS:,} like 3 cohorts")
    return cohorts
