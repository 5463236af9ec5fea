"""From a reference to what windows of pairs are compared with: which pairs, their numbers, and their own test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from services.detector.banks.pairs import CorrelationBank
from services.detector.baseline import Column
from services.detector.pairs.numbers import TRUTHS, ranks_on, reference_numbers, scale_of
from services.detector.pairs.reference import WINDOW_ROWS, PairReferences, ReferenceJoint, ReferencePair, Scale
from services.detector.pairs.selftest import tested, thin
from services.detector.pairs.tables import side_codes, side_of
from services.detector.ranks import Ranking
from services.detector.reference_table import ReferenceColumn, ReferenceTable
from services.detector.selftest import NO_VALUES, REFERENCE_WINDOWS, own_windows
from services.detector.signals.columns import Codes
from services.detector.signals.monitored import ERROR
from services.detector.statistics.joint import JOINT_BINS, MOST_ROWS, informative_pairs, joint_codes
from services.detector.statistics.verdict import pool
from services.detector.structs import FloatArray, IntArray
from shared.errors import ConfigurationError
from shared.events.block import PREDICTION

_CHUNK_ROWS = 16_384  # of the reference at a time, so that wide ones need no second copy
_ANSWERS = (PREDICTION, *TRUTHS)

Named = tuple[str, str]


@dataclass(frozen=True, slots=True)
class ReferenceColumns:
    """The columns of a reference: as they were read, as they were counted, and the bin of each row."""

    raw: Sequence[ReferenceColumn]
    counted: Sequence[Column]
    codes: Sequence[Codes]


def build_pairs(reference: ReferenceTable, columns: ReferenceColumns, untestable: str) -> PairReferences | None:
    """Return the pairs that the configuration asks for; None where it asks for none.

    untestable: why the order of the reference's rows says nothing; empty where it does.

    Raises:
        ConfigurationError: a pair names what the reference does not have; names its path.
    """
    spec = reference.spec
    if spec.pairs is None and spec.joint is None:
        return None
    numbers = {} if spec.pairs is None else reference_numbers(reference)
    known = numbers | {raw.name: raw.values for raw in columns.raw if raw.is_numeric}
    if spec.pairs is not None and ERROR in [raw.name for raw in columns.raw]:
        raise ConfigurationError(
            f"models.{reference.model}.pairs", f"{ERROR} is the error of a prediction here; name the feature otherwise"
        )
    scales = {name: scale_of(numbers[name]) for name in TRUTHS if name in numbers and spec.task == "regression"}
    labelled = np.zeros(reference.rows, np.bool_)
    for name in TRUTHS:
        labelled |= ~np.isnan(numbers.get(name, np.full(reference.rows, np.nan)))
    pairs = [] if spec.pairs is None else _chosen(reference, columns, numbers)
    served, with_truth = ([pair for pair in pairs if (pair[1] in TRUTHS) is of_truth] for of_truth in (False, True))
    ranked = {column.name: Ranking(column) for column in columns.counted if column.is_numeric}
    table = _Numbers(known, ranked, scales)
    return PairReferences(
        correlations=[
            *_correlations(table, served, np.ones(reference.rows, np.bool_), untestable, needs_labels=False),
            *_correlations(table, with_truth, labelled, untestable, needs_labels=True),
        ],
        joint=[] if spec.joint is None else _joint(reference, columns, untestable),
        labels=int(labelled.sum()),
        scales=scales,
    )


def _chosen(reference: ReferenceTable, columns: ReferenceColumns, numbers: dict[str, FloatArray]) -> list[Named]:
    """Return the pairs of the configuration, then each number of the inputs with each of the answers."""
    features = [raw.name for raw in columns.raw if raw.role == "feature" and raw.is_numeric]
    answers = [name for name in _ANSWERS if name in numbers or (name == PREDICTION and _is_number(columns, name))]
    each = [(feature, answer) for answer in answers for feature in features]
    given = reference.spec.pairs
    if given is None or given == "auto":
        return each
    for number, pair in enumerate(given):
        path = f"models.{reference.model}.pairs.{number}"
        for name in pair:
            _refuse(path, name, columns, answers)
    return [*given, *each]


def _refuse(path: str, name: str, columns: ReferenceColumns, answers: Sequence[str]) -> None:
    if name in answers:
        raise ConfigurationError(path, f"each number goes with {name} anyway; leave the pair out")
    _refuse_unknown(path, name, columns)
    if not _is_number(columns, name):
        raise ConfigurationError(path, f"{name} holds categories, which have no correlation; watch the pair as joint")


def _refuse_unknown(path: str, name: str, columns: ReferenceColumns) -> None:
    if name not in [raw.name for raw in columns.raw]:
        raise ConfigurationError(path, f"the reference has no column {name!r} that is watched")


def _is_number(columns: ReferenceColumns, name: str) -> bool:
    return any(raw.name == name and raw.is_numeric for raw in columns.raw)


class _Numbers:
    """Numbers and mid-ranks of columns by name."""

    def __init__(self, values: dict[str, FloatArray], rankings: dict[str, Ranking], scales: dict[str, Scale]) -> None:
        self._values = values
        self._rankings = rankings
        self._scales = scales

    def of(self, names: Sequence[str], rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return values and mid-ranks of some rows, [rows, names] each."""
        values = [self._values[name][rows] for name in names]
        ranks = [
            self._rankings[name].place(column)[1]
            if name in self._rankings
            else ranks_on(self._scales.get(name), column)
            for name, column in zip(names, values, strict=True)
        ]
        return np.column_stack(values), np.column_stack(ranks)


def _correlations(
    table: _Numbers, pairs: Sequence[Named], chosen: FloatArray, untestable: str, *, needs_labels: bool
) -> list[ReferencePair]:
    rows = np.flatnonzero(chosen)
    if not pairs or rows.size == 0:
        return []
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    places = np.array([[names.index(first), names.index(second)] for first, second in pairs], np.int64)
    whole, parts = CorrelationBank(rows.size, places), CorrelationBank(WINDOW_ROWS, places)
    closed, windows = [], []
    for start in range(0, rows.size, _CHUNK_ROWS):
        values, ranks = table.of(names, rows[start : start + _CHUNK_ROWS])
        closed += whole.update(values, ranks)
        windows += parts.update(values, ranks)
    return [
        ReferencePair(
            first=first,
            second=second,
            needs_labels=needs_labels,
            pearson=tested([w.pearson[at] for w in windows], closed[0].pearson[at], "pearson", untestable),
            spearman=tested([w.spearman[at] for w in windows], closed[0].spearman[at], "spearman", untestable),
        )
        for at, (first, second) in enumerate(pairs)
    ]


def _joint(reference: ReferenceTable, columns: ReferenceColumns, untestable: str) -> list[ReferenceJoint]:
    given = reference.spec.joint
    places = {raw.name: place for place, raw in enumerate(columns.raw)}
    if given is None or given == "auto":
        chosen = _informative(columns)
    else:
        for number, pair in enumerate(given):
            for name in pair:
                _refuse_unknown(f"models.{reference.model}.joint.{number}", name, columns)
        chosen = [(places[first], places[second]) for first, second in given]
    return [_table(columns, first, second, untestable) for first, second in chosen]


def _informative(columns: ReferenceColumns) -> list[tuple[int, int]]:
    """Return the pairs of features that say most about one another."""
    features = [place for place, raw in enumerate(columns.raw) if raw.role == "feature"]
    if len(features) < 2:
        return []
    step = max(1, -(-len(columns.codes[0]) // MOST_ROWS))
    found = informative_pairs(np.column_stack([_codes(columns, place, step) for place in features]))
    return [(features[first], features[second]) for first, second in found.tolist()]


def _codes(columns: ReferenceColumns, place: int, step: int = 1) -> Codes:
    column = columns.counted[place]
    return side_codes(side_of(column), column, columns.raw[place].values[::step], columns.codes[place][::step])


def _table(columns: ReferenceColumns, first: int, second: int, untestable: str) -> ReferenceJoint:
    codes = joint_codes(_codes(columns, first), _codes(columns, second))
    counts = np.bincount(codes[codes >= 0], minlength=JOINT_BINS)
    own = own_windows(codes, WINDOW_ROWS, counts, ordered=False)
    known = int(counts.sum())
    reason = untestable
    if not untestable and own.is_unsteady:
        reason = f"unsteady: its own windows differ by PSI up to {own.peak:.2g}"
    elif known == 0:
        reason = NO_VALUES
    elif not untestable and known < REFERENCE_WINDOWS * WINDOW_ROWS:
        reason = thin(known)
    elif pool(counts, WINDOW_ROWS, ordered=False).max() == 0:
        reason = "nearly all rows hold one value: nothing to compare"
    return ReferenceJoint(
        first=side_of(columns.counted[first]),
        second=side_of(columns.counted[second]),
        counts=counts.astype(np.int64),
        phi=1.0 if untestable else own.phi,
        reason=reason,
    )
