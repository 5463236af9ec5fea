"""What estimates are worth: against the reference before labels come, and against the labels once they do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from services.detector.estimates.expected import PREFIX
from services.detector.estimates.reference import EstimateReference
from services.detector.performance.metrics.value import Metrics, Value, around
from services.detector.statistics.proportions import Z95

GAP = "estimate_gap_"
COMPARED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "binary": ("accuracy", "f1", "roc_auc"),
        "multiclass": ("accuracy", "f1_macro", "roc_auc_macro"),
        "regression": ("mae", "rmse"),
    }
)
MIN_COMPARED = 100  # labels of a cohort, and half of its predictions', before they say anything of its estimates
UNRELIABLE = 4.0  # standard errors by which labels and estimates differ
WORSE, WARNS = 1.25, 3.0  # times the reference's loss, and standard errors of a cohort's loss above it


@dataclass(frozen=True, slots=True)
class Estimated:
    """What is expected of one cohort."""

    rows: float  # that something is expected of
    loss: float  # share of errors, or mean absolute error
    variance: float  # of the expected loss among the rows
    metrics: Metrics

    def warns(self, reference: EstimateReference) -> bool:
        """Tell whether the cohort should be worse than the reference, by more than chance and enough to matter."""
        if not self.rows:
            return False
        above = self.loss - reference.loss
        return self.loss > WORSE * reference.loss and above > WARNS * reference.spread / math.sqrt(self.rows)


def compare(task: str, estimated: Estimated, reference: EstimateReference, labels: int, realised: Metrics) -> Metrics:
    """Return what labels say less what was estimated, by `estimate_gap_<metric>`, with 95 % intervals.

    The first metric's standard error follows from the chances themselves: where they are right, what labels say of m
    of n rows differs from what was expected of all by the scatter of a label about its chance, by which m rows were
    labelled, and by what the reference's own rows leave open. The others' is that of what labels say, which is more.
    """
    gaps: Metrics = {}
    for name in COMPARED[task]:
        said, expected = realised.get(name), estimated.metrics.get(f"{PREFIX}{name}")
        if said is None or expected is None or said.value is None or expected.value is None or not labels:
            continue
        if not gaps:
            error = _standard_error(task, estimated, reference, labels)
        else:
            ends = [abs(end - said.value) for end in (said.low, said.high) if end is not None]
            error = max(ends, default=math.nan) / Z95 * math.sqrt(1.0 + labels / reference.rows)
        gaps[f"{GAP}{name}"] = around(said.value - expected.value, error)
    return gaps


def is_unreliable(gaps: Metrics, coverage: float, labels: int, *, is_final: bool) -> bool | None:
    """Tell whether labels contradict the estimates; None while there are too few to tell."""
    gap: Value | None = next(iter(gaps.values()), None)
    if gap is None or gap.value is None or gap.high is None or labels < MIN_COMPARED:
        return None
    if not is_final and coverage < 0.5:
        return None
    return abs(gap.value) > UNRELIABLE * (gap.high - gap.value) / Z95


def _standard_error(task: str, estimated: Estimated, reference: EstimateReference, labels: int) -> float:
    if task == "regression":
        size, square = estimated.loss, estimated.metrics[f"{PREFIX}mse"].value or 0.0
        of_a_label = max(square - size * size, 0.0)
    else:
        of_a_label = estimated.loss * (1.0 - estimated.loss)
    of_all = of_a_label / labels - estimated.variance / estimated.rows
    scatter = max(of_a_label - estimated.variance, 0.0) / labels
    return math.sqrt(max(of_all, scatter) + reference.spread**2 / reference.rows)
