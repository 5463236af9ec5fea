"""What a person reads afterwards: a row per window and series, a row per cohort. A sink takes them; most drop them."""

from __future__ import annotations

from typing import Protocol

import msgspec

from services.detector.performance.metrics.value import Metrics
from services.detector.serving.period import ServingRow


class WindowRow(msgspec.Struct, frozen=True, kw_only=True):
    """One closed window of one series. Distances are over unpooled bins, `verdict_*` over pooled ones."""

    model: str
    model_version: str
    signal: str
    segment: str
    window_start_row: int  # rows of the series, inclusive
    window_end_row: int
    first_served_row: int  # rows of the model: from here to
    last_served_row: int  # here the window took its rows
    n: int
    n_missing: int
    n_unseen: int
    bins: list[str]
    counts: list[int]
    reference_counts: list[int]
    psi: float | None
    psi_floor: float | None
    js_distance_base2: float | None
    hellinger: float | None
    chi2_stat: float | None
    linf: float | None
    ks_stat: float | None
    wasserstein_norm: float | None
    psi_debiased: float | None
    chi2_pvalue: float | None
    cramers_v: float | None
    ks_pvalue: float | None
    mean: float | None = None  # this and what follows: of the values of a number that were there
    sd: float | None = None  # population form
    minimum: float | None = None
    maximum: float | None = None
    q01: float | None = None
    q05: float | None = None
    q25: float | None = None
    median: float | None = None
    q75: float | None = None
    q95: float | None = None
    q99: float | None = None
    outlier_rate: float | None = None
    compliance_rate: float | None = None  # inside the range of the reference's values
    pearson: float | None = None  # this and what follows: of a pair of columns
    spearman: float | None = None
    pearson_delta: float | None = None  # of the window - of the reference
    spearman_delta: float | None = None
    verdict_psi: float | None
    verdict_psi_debiased: float | None
    verdict_df: int | None
    p_value: float | None
    noise_floor: float | None


class CohortRow(msgspec.Struct, frozen=True, kw_only=True):
    """One cohort of predictions, with what their labels say so far."""

    model: str
    model_version: str
    segment: str
    cohort_start_row: int  # rows of the segment, inclusive
    cohort_end_row: int
    n_predicted: int
    n_labelled: int
    coverage: float
    state: str  # provisional: labels may still come; final: the horizon has passed
    label_delay_p50: float | None = None  # seconds from predictions to their labels; of all traffic
    label_delay_p95: float | None = None
    estimate_warning: bool | None = None  # the model should be worse than on its reference; None: nothing is estimated
    estimate_unreliable: bool | None = None  # labels contradict what was estimated; None while too few can tell
    metrics: Metrics


class EstimateRow(msgspec.Struct, frozen=True, kw_only=True):
    """One cohort of predictions, as it should turn out by what its rows are like. No label has a part in it."""

    model: str
    model_version: str
    segment: str
    cohort_start_row: int  # rows of the segment, inclusive
    cohort_end_row: int
    n_predicted: int
    n_estimated: int  # predictions with all that estimates need
    estimate_warning: bool
    metrics: Metrics


class Group(msgspec.Struct, frozen=True):
    """The newest final cohort of one value of a dimension."""

    first_row: int  # rows of the segment, inclusive
    last_row: int
    tn: int
    fp: int
    fn: int
    tp: int


class FairnessRow(msgspec.Struct, frozen=True, kw_only=True):
    """What a final cohort of one group says beside the newest of the others."""

    model: str
    model_version: str
    dimension: str
    served_row: int  # the model's, at which the cohort that came last began
    groups: dict[str, Group]
    metrics: Metrics


class Sink(Protocol):
    """Takes report rows; never influences the fold."""

    takes_windows: bool  # else windows need not be made into rows for it

    def window(self, row: WindowRow) -> None:
        """Take one closed report window."""
        ...

    def fairness(self, row: FairnessRow) -> None:
        """Take how a protected dimension stands."""
        ...

    def serving(self, row: ServingRow) -> None:
        """Take what the model's own service did in some hours."""
        ...


class NoSink:
    """Drops everything."""

    takes_windows = False

    def window(self, row: WindowRow) -> None:
        """Drop the row."""

    def fairness(self, row: FairnessRow) -> None:
        """Drop the row."""

    def serving(self, row: ServingRow) -> None:
        """Drop the row."""


class ListSink:
    """Keeps everything, for `backtest`."""

    takes_windows = True

    def __init__(self) -> None:
        self.windows: list[WindowRow] = []
        self.fairness_rows: list[FairnessRow] = []
        self.serving_rows: list[ServingRow] = []

    def window(self, row: WindowRow) -> None:
        """Keep the row."""
        self.windows.append(row)

    def fairness(self, row: FairnessRow) -> None:
        """Keep the row."""
        self.fairness_rows.append(row)

    def serving(self, row: ServingRow) -> None:
        """Keep the row."""
        self.serving_rows.append(row)
