"""The baseline: what a model's reference looks like, frozen. It holds distributions, never rows.

Columns are the features in reference order, then `prediction`, then the scores. Cells are `all`, then for each
segmentation of the configuration the combinations that the reference holds, then that segmentation's `__other__`.
Everything per cell is an array whose first axis is the cell. Bytes carry a magic with the version and a checksum, and
their BLAKE2b hash is the baseline's name in definitions and alerts.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

import google_crc32c
import msgspec
import numpy as np
import zstandard

from services.detector.causes.strata import Strata
from services.detector.estimates.reference import EstimateReference
from services.detector.mixes.reference import Mix
from services.detector.pairs.reference import PairReferences
from services.detector.performance.closed.reference import ClosedReference
from services.detector.performance.label_ages import LabelAges
from services.detector.quality.reference import QualityReference
from services.detector.seasons.pace import Pace
from services.detector.seasons.profile import SeasonBound
from services.detector.structs import decode_struct, encode_struct
from services.detector.unpacking import unpacked
from shared.definition import ColumnKind, ModelSchema, score_columns
from shared.errors import Corrupt
from shared.identity import content_hash
from shared.monitors import Task
from shared.reference import TrailingDays
from shared.unreadable import UNREADABLE
from shared.values import OTHER_LEVEL

MAGIC = b"driftline-baseline/1\n"
MAX_BYTES = 3 << 20  # of one record in driftline.control, with room to spare
MAX_UNPACKED = 1 << 30
ALL = "all"
WINDOW_ALL, WINDOW_SEGMENT = 1_000, 500  # rows of a detection window
GATE_PSI = 0.1  # the debiased PSI from which a window of rows matters
_CHECKSUM_BYTES = 4

Role = Literal["feature", "prediction", "score"]


def calibrates(why: str) -> str:
    """Return what is said of a column that calibrates on live traffic; empty where it does not."""
    return f"calibrates on the first week of live traffic: {why}" if why else ""


def window_rows(cell: int) -> int:
    """Return the rows of a detection window of a cell; cell 0 is all traffic."""
    return WINDOW_ALL if cell == 0 else WINDOW_SEGMENT


def cell_label(dimensions: Sequence[str], values: Sequence[str]) -> str:
    """Return the name of a cell: `dimension=value`, crosses joined by commas."""
    return ",".join(f"{dimension}={value}" for dimension, value in zip(dimensions, values, strict=True))


def combination_key(combination: Iterable[str]) -> int:
    """Return the hash by which a combination is known to be held."""
    texts = msgspec.json.encode(tuple(combination))
    return int.from_bytes(hashlib.blake2b(texts, digest_size=8).digest(), "little", signed=True)


class Column(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One signal's distribution in every cell.

    Numeric bins are right-closed between `edges`, the reference's deciles without duplicates. Categorical bins are
    `levels` in text order, nulls of the reference being the level `__missing__`; codes for anything else are described
    at `services/detector/signals/plan.py`. Numbers about the whole column are of all traffic; 0 where nothing is known.
    """

    name: str  # of the signal: the feature's, `prediction`, `score` or `score_<class>`
    source: str  # its column in blocks
    role: Role
    kind: ColumnKind
    counts: np.ndarray  # int64 [cells, bins]
    missing: np.ndarray  # int64 [cells]: rows in no bin
    missing_peak: float  # largest share of missing values in a window's worth of consecutive rows
    edges: np.ndarray  # float64 [bins - 1]; empty for categories
    grid_edges: np.ndarray  # float64 [grid cells - 1]; empty for categories
    grid_counts: np.ndarray  # int64 [cells, grid cells]; [cells, 0] for categories
    levels: list[str] = []
    singletons: float = 0.0  # share of rows whose level occurs once: the chance of a new level (Good and Turing)
    minimum: float | None = None  # the configuration's range: what lies outside is missing
    maximum: float | None = None
    outside: int = 0  # rows of the reference outside that range
    gate: float = GATE_PSI  # the smallest change that matters, as PSI
    mean: float = 0.0
    sd: float = 0.0  # population form
    median: float = 0.0
    low: float = 0.0  # the reference's own range
    high: float = 0.0
    normal_mean: float = 0.0  # of the normal scores of the reference: what Page-Hinkley compares with

    @property
    def bins(self) -> int:
        """Return the number of bins."""
        return int(self.counts.shape[1])

    @property
    def has_range(self) -> bool:
        """Tell whether the configuration says what the values may be."""
        return self.minimum is not None or self.maximum is not None

    @property
    def day_gate(self) -> float:
        """Return the gate of whole days: a change that lasts matters when it is half as large."""
        return self.gate / 2

    @property
    def shift_gate(self) -> float:
        """Return how many times the usual a shift of the mean must be to matter: PSI grows with its square."""
        return math.sqrt(self.gate / GATE_PSI)

    @property
    def is_numeric(self) -> bool:
        """Tell whether bins are ordered."""
        return self.kind == "numeric"

    def bin_names(self) -> list[str]:
        """Return what people call the bins: levels, or intervals with four significant digits."""
        if not self.is_numeric:
            return self.levels
        texts = ["-inf", *(f"{edge:.4g}" for edge in self.edges.tolist()), "inf"]
        return [f"({low}, {high}]" for low, high in pairwise(texts)]


class Segmentation(msgspec.Struct, frozen=True, kw_only=True):
    """One configured segmentation: which combination of values is which cell."""

    dimensions: list[str]
    values: list[list[str]]  # per dimension, the values that keep their name; the rest is `__other__`
    combinations: list[list[str]]  # of the reference, in cell order
    first: int  # cell of combinations[0]
    other: int  # cell of every other combination
    held: np.ndarray  # int64, ascending: `combination_key` of those that the reference holds in cells with `__other__`
    is_open: bool  # whether `held` is all of them, so that one that the log brings can be told to be new

    def is_new(self, combination: Sequence[str]) -> bool:
        """Tell whether a combination that has no cell may get one from the log."""
        if not self.is_open or OTHER_LEVEL in combination:
            return False
        key = combination_key(combination)
        at = int(np.searchsorted(self.held, key))
        return at == self.held.size or int(self.held[at]) != key


class Arming(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Which window verdicts may page, from the reference's own windows. Arrays are [columns, cells]."""

    reason: np.ndarray  # int32: 0 armed, else 1 + the place in `reasons`
    reasons: list[str]
    phi: np.ndarray  # float64 >= 1: overdispersion of the cell's windows
    peak: np.ndarray  # float64: largest debiased PSI of an own window against the rest
    unsteady: np.ndarray  # bool: its own windows differ by more than the gate

    def is_armed(self, column: int, cell: int) -> bool:
        """Tell whether windows of the cell may page."""
        return int(self.reason[column, cell]) == 0

    def share(self, *, segments: bool) -> float:
        """Return the share of cells that may page, of all traffic or of the segments; 0 where there are none."""
        part = self.reason[:, 1:] if segments else self.reason[:, :1]
        return float(np.mean(part == 0)) if part.size else 0.0

    def why_not(self, column: int, cell: int) -> str:
        """Return why windows of the cell do not page; empty where they do."""
        place = int(self.reason[column, cell])
        return self.reasons[place - 1] if place else ""


class Trailing(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The choice of a trailing reference for windows."""

    of: TrailingDays
    arming: Arming  # of windows that are compared with it


class Sequential(msgspec.Struct, frozen=True, kw_only=True):
    """What the self-test found for the sequential detectors of a numeric column on all traffic."""

    column: int
    page_hinkley: str  # why it does not run; empty where it does
    adwin: str
    adwin_window: bytes  # the window that ADWIN has learned at the end of the reference; empty where it does not run


class Coded(msgspec.Struct, frozen=True, kw_only=True):
    """What the self-test found for the sequential detectors of a column's codes on all traffic."""

    column: int
    e_detector: str  # why it does not run; empty where it does
    rare_levels: str


class ErrorMonitor(msgspec.Struct, frozen=True, kw_only=True):
    """The reference rate of one kind of error, over the rows where it is defined."""

    name: str
    rows: int
    rate: float
    p0: float  # the largest rate that counts as none the worse
    threshold: float  # of the CUSUM against p0: the budget's, or more where the reference's own clusters need it
    reason: str  # why it does not page; empty where it does


class ReferenceMetric(msgspec.Struct, frozen=True, array_like=True):
    """A metric of the reference's rows of one cell."""

    value: float
    error: float | None  # its standard error; None where it has no interval


class ReferencePerformance(msgspec.Struct, frozen=True, kw_only=True):
    """How well the model did on its reference; fields of other tasks are 0."""

    rows: int  # with prediction and label
    monitors: list[ErrorMonitor]
    accuracy: float = 0.0
    mae: float = 0.0
    rmse: float = 0.0
    mean_error: float = 0.0  # of prediction - label
    high_error: float = 0.0  # the 90th percentile of |prediction - label|
    residual: Column | None = None  # of prediction - label; one cell, all traffic
    residual_reason: str = ""  # why Page-Hinkley does not watch it; empty where it does
    strata: list[Strata] = []  # its errors by the score or the prediction, then by each segmentation
    closed: ClosedReference | None = None  # what closed cohorts are compared with; None without scores of a binary task
    metrics: dict[str, dict[str, ReferenceMetric]] = {}  # by name, then by the name of each cell that has it


class Baseline(msgspec.Struct, frozen=True, kw_only=True, eq=False, omit_defaults=True):
    """Everything that detection compares with."""

    model: str
    task: Task
    classes: list[str]  # of prediction and label, sorted; empty for regression and ranking
    positive: str  # empty but for binary tasks
    rows: int
    start_ms: int | None  # of `ts`; None where the reference has none
    end_ms: int | None
    in_time_order: bool
    untested: list[str]  # per column, why the reference says nothing of live windows' scatter; empty where it does
    season_bound: list[SeasonBound]  # what windows of these columns are compared with instead of their counts
    pace: Pace | None  # what live traffic's must be like for that to hold; None where it does not matter
    rows_per_week: float | None  # declared or from the time span; None where neither is known
    columns: list[Column]
    segmentations: list[Segmentation]
    cells: list[str]  # labels
    cell_rows: np.ndarray  # int64 [cells]
    arming: Arming
    days: Arming  # the same of windows of whole days
    sequential: list[Sequential]  # of the numeric columns, in order
    coded: list[Coded]  # of all columns, in order
    performance: ReferencePerformance | None  # None where the reference has no labels or no predictions
    label_ages: LabelAges | None = None  # None where the reference does not tell them
    trailing: Trailing | None = None  # None: windows are compared with the cells above
    pairs: PairReferences | None = None  # None where the configuration watches no pairs
    quality: QualityReference
    mixes: list[Mix] = []  # shares of segments that are no column, then of labels
    estimates: EstimateReference | None = None  # None where the reference has no labels or no predictions
    cutoffs: list[int] = []  # lengths at which rankings are judged, the one that is watched first

    @property
    def hash(self) -> str:
        """Return the content hash by which definitions and alerts name this baseline."""
        return content_hash(encode(self))

    @property
    def numeric(self) -> list[int]:
        """Return the places of the numeric columns."""
        return [place for place, column in enumerate(self.columns) if column.is_numeric]

    def codes(self, column: int) -> slice:
        """Return where a column's codes are among those of all columns side by side."""
        first = sum(before.bins for before in self.columns[:column])
        return slice(first, first + self.columns[column].bins)

    @property
    def ranged(self) -> list[int]:
        """Return the places of the columns that have a range: each also counts what lies outside."""
        return [place for place, column in enumerate(self.columns) if column.has_range]

    def why_not_yet(self, column: int, cell: int) -> str:
        """Return why windows of a cell do not page from the first row on; empty where they do."""
        return self.arming.why_not(column, cell) or calibrates(self.untested[column])

    def share_armed(self, *, segments: bool) -> float:
        """Return the share of cells that may page from the first row on; 0 where there are none."""
        is_tested = np.array([not why for why in self.untested], np.bool_)[:, None]
        is_armed = (self.arming.reason == 0) & is_tested
        part = is_armed[:, 1:] if segments else is_armed[:, :1]
        return float(np.mean(part)) if part.size else 0.0

    def weekly_rows(self, cell: int) -> float | None:
        """Return the rows of a cell in a week of traffic like the reference."""
        if self.rows_per_week is None:
            return None
        return self.rows_per_week * float(self.cell_rows[cell]) / max(self.rows, 1)


def schema(baseline: Baseline) -> ModelSchema:
    """Return what every service knows of the model's columns."""
    return ModelSchema(
        features={column.name: column.kind for column in baseline.columns if column.role == "feature"},
        classes=baseline.classes,
        scores=score_columns(baseline.task, baseline.classes),
    )


def encode(baseline: Baseline) -> bytes:
    """Return the baseline's bytes; equal baselines give equal bytes."""
    body = MAGIC + zstandard.ZstdCompressor(level=9).compress(encode_struct(baseline))
    return body + int(google_crc32c.value(body)).to_bytes(_CHECKSUM_BYTES, "little")


def decode(content: bytes) -> Baseline:
    """Return the baseline in `content`.

    Raises:
        Corrupt: these are not whole bytes of a baseline that this release reads.
    """
    body, checksum = content[:-_CHECKSUM_BYTES], content[-_CHECKSUM_BYTES:]
    if not body.startswith(MAGIC):
        raise Corrupt(f"a baseline begins with {content[: len(MAGIC)]!r}, this release reads {MAGIC!r}")
    if int(google_crc32c.value(body)) != int.from_bytes(checksum, "little"):
        raise Corrupt("the checksum of a baseline differs")
    try:
        return decode_struct(unpacked(body[len(MAGIC) :], MAX_UNPACKED), Baseline)
    except (*UNREADABLE, ValueError) as exc:
        raise Corrupt(f"a baseline does not read back ({exc})") from exc
