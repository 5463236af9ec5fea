"""Named detectors against a baseline: which signal each one watches, and in which form."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from services.detector.advisory.named import Named, named
from services.detector.baseline import Baseline
from services.detector.incidents.drift import OUTPUTS
from services.detector.performance_build import RESIDUAL
from services.detector.signals.labelled import LabelledSignals
from services.detector.signals.monitored import NDCG_LOSS
from services.detector.signals.plan import Signals
from services.detector.structs import FloatArray
from shared.detectors import DetectorSpec, Form
from shared.errors import ConfigurationError
from shared.events.alert import IncidentKind
from shared.monitors import ModelSpec

_LISTED = 10  # names in a message


class Source(Enum):
    """Where a signal comes from."""

    COLUMN = "column"  # a number of served rows
    FLAG = "flag"  # an error of labelled rows, or none
    RESIDUAL = "residual"  # of labelled rows: prediction less label


@dataclass(frozen=True, slots=True)
class BoundDetector:
    """A named detector with the signal that it watches, on all traffic."""

    spec: DetectorSpec
    named: Named
    source: Source
    series: int  # place among the numeric columns, or among the monitors
    form: Form | None  # of a number; None of a flag
    reference: float  # the reference's mean of what it watches

    @property
    def statistic(self) -> str:
        """Return what the mean of its values is called."""
        return "rate" if self.form is None else f"mean_{self.form}"

    @property
    def kind(self) -> IncidentKind:
        """Return what it means when the signal changes."""
        if self.source is not Source.COLUMN:
            return IncidentKind.CONCEPT_DRIFT
        is_output = self.spec.signal in OUTPUTS or self.spec.signal.startswith("score_")
        return IncidentKind.PREDICTION_DRIFT if is_output else IncidentKind.DATA_DRIFT

    def of_served(self, signals: Signals) -> FloatArray:
        """Return the values of served rows, [rows, 1]."""
        values = signals.ranks if self.form == "rank" else signals.normal_scores
        return values[:, self.series : self.series + 1]

    def of_labelled(self, signals: LabelledSignals) -> FloatArray:
        """Return the values of labelled rows, [rows, 1]."""
        if self.source is Source.FLAG:
            return signals.flags[:, self.series : self.series + 1]
        return (signals.residual_ranks if self.form == "rank" else signals.residual_scores)[:, None]


def bind_detectors(model: str, spec: ModelSpec, baseline: Baseline) -> list[BoundDetector]:
    """Return the named detectors of a model's configuration.

    Raises:
        ConfigurationError: one does not exist or does not fit what it is to watch; names its path.
    """
    paths = (f"models.{model}.detectors.{number}" for number in range(len(spec.detectors)))
    return [_bound(path, one, baseline) for path, one in zip(paths, spec.detectors, strict=True)]


def _bound(path: str, spec: DetectorSpec, baseline: Baseline) -> BoundDetector:
    found = named(path, spec)
    flags = {} if baseline.performance is None else {one.name: one for one in baseline.performance.monitors}
    if spec.signal in flags:
        if spec.form is not None:
            raise ConfigurationError(f"{path}.as", f"{spec.signal} is an error or none: it has no {spec.form}")
        if found.form is None and spec.signal.startswith(NDCG_LOSS):
            raise ConfigurationError(f"{path}.signal", f"{spec.name} watches errors, and {spec.signal} is a number")
        return BoundDetector(spec, found, Source.FLAG, list(flags).index(spec.signal), None, flags[spec.signal].rate)
    residual = None if baseline.performance is None else baseline.performance.residual
    numbers = {baseline.columns[place].name: baseline.columns[place] for place in baseline.numeric}
    if residual is not None and spec.signal == RESIDUAL:
        source, series, column = Source.RESIDUAL, 0, residual
    elif spec.signal in numbers:
        source, series, column = Source.COLUMN, list(numbers).index(spec.signal), numbers[spec.signal]
    else:
        labels = [*flags, *([] if residual is None else [RESIDUAL])]
        raise ConfigurationError(f"{path}.signal", _nothing(spec.signal, labels, list(numbers), baseline))
    if found.form is None:
        raise ConfigurationError(f"{path}.signal", f"{spec.name} watches errors, and {spec.signal} is a number")
    form = spec.form or found.form
    if spec.name == "hddm_a" and form != "rank":
        raise ConfigurationError(f"{path}.as", "hddm_a takes values between 0 and 1: a rank, no normal_score")
    mean = 0.5 if form == "rank" else column.normal_mean
    return BoundDetector(spec, found, source, series, form, mean)


def _nothing(signal: str, labels: Sequence[str], numbers: Sequence[str], baseline: Baseline) -> str:
    if any(column.name == signal for column in baseline.columns):
        return f"{signal} holds categories; a named detector watches a number or errors"
    known = [*labels, *numbers]
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    without = "" if labels else "; the reference has no predictions with labels, so there are no errors to watch"
    return f"there is no {signal!r} to watch, only {', '.join(known[:_LISTED]) or 'nothing'}{more}{without}"
