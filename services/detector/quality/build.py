"""The checks of a reference, tested on the reference itself: one that would page there is slower, or does not page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist
from typing import NamedTuple, TypeAlias

import msgspec
import numpy as np

from services.detector import budget
from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.baseline import Column, window_rows
from services.detector.quality.expected import Expected
from services.detector.quality.flags import NOTHING, ROWS, TIMES_OF_ROWS, Flags, Kind, Look, Looks, knows_levels
from services.detector.quality.formats import times_of, wrong_in
from services.detector.quality.reference import AFTER_DRIFT, TOLERANCE, Check, QualityReference, Statistic, gate_of
from services.detector.quality.repeats import Contents, Repeats
from services.detector.quality.vanished import usual_levels
from services.detector.reference_table import ReferenceColumn
from services.detector.segments import Memberships
from services.detector.signals.columns import Codes
from services.detector.statistics.arrays import BoolArray
from services.detector.statistics.proportions import wilson
from services.detector.structs import FloatArray, IntArray
from shared.monitors import ModelSpec

OF_ALL_TRAFFIC = 0.5  # of what the kind is worth; the rest is of windows of segments
LEAST_ROWS = 100  # since a share rose, before it pages: half of what a drift needs, for this is what causes it
LEAST_ROWS_AFTER_DRIFT = 1_000  # of these: where a whole distribution moves, a drift is told of before
ERRORS = 2.0  # standard errors of the reference's share that are no change
ALMOST_ALL = 0.9  # a share in the reference from which nothing is watched, and one that a break has
LOWEST_P0 = 1e-4
GROWTH = 1.5  # of what counts as none the worse, as long as the reference itself would page
ALARMS = "alarms on the reference itself"
FAR = 3.0  # interquartile ranges beyond the outer quantiles
OUTER = 0.001
ROWS_AT_A_TIME = 1 << 16  # of the reference, side by side


How: TypeAlias = "Look | Repeats | Flags | None"


class Amiss(NamedTuple):
    """One check, and how the reference's rows are read for it."""

    feature: str
    statistic: Statistic
    how: How = None
    p0: float | None = None  # as it is, whatever the rows say
    least: float = LOWEST_P0  # that `p0` is
    shift: float = 0.0  # of a column, in standard deviations, that is too small to matter and moves this share as well


def alternatives(p0: float) -> list[float]:
    """Return the shares that a break may have: the smallest that matters, nearly all rows, and one between."""
    smallest, largest = (math.log(p / (1.0 - p)) for p in (gate_of(p0), max(ALMOST_ALL, (1.0 + gate_of(p0)) / 2.0)))
    return [1.0 / (1.0 + math.exp(-logit)) for logit in (smallest, (smallest + largest) / 2.0, largest)]


def bank_of(checks: Sequence[Check], share: float, rows_per_week: float) -> BernoulliCusumBank:
    """Return the watch of all checks on all traffic, together worth `share` a week."""
    threshold = budget.likelihood_threshold(share, max(rows_per_week * len(checks), 1.0))
    p0 = np.array([check.p0 for check in checks], np.float64)
    rates = np.array([alternatives(check.p0) for check in checks], np.float64).reshape(len(checks), 3)
    least = [LEAST_ROWS_AFTER_DRIFT if check.statistic in AFTER_DRIFT else LEAST_ROWS for check in checks]
    return BernoulliCusumBank.for_rates(p0, rates, np.full(len(checks), threshold), np.array(least, np.int64))


def build_quality(
    model: str,
    spec: ModelSpec,
    raw: Sequence[ReferenceColumn],
    columns: Sequence[Column],
    codes: Sequence[Codes],
    memberships: Memberships,
    cells: int,
    share: float,
    rows_per_week: float,
) -> QualityReference:
    """Return the checks of a reference.

    raw, columns, codes: of each column what the reference holds, what became of it, and the bin of each row; cells: how
    many there are; share: what the checks are worth a week.

    Raises:
        ConfigurationError: something is expected of a column that there is not; names its path.
    """
    values = [found.values for found in raw if found.is_numeric]
    each = OF_ALL_TRAFFIC * share / max(len(raw), 1)
    bounds = np.array([outlier_bounds(found, each, rows_per_week) for found in raw]).reshape(-1, 2)
    expected = Expected.of(model, spec, columns)
    series = {name: at for at, name in enumerate(column.name for column in columns if column.is_numeric)}
    wanted = [
        *_of_columns(spec, raw, columns, bounds, series),
        *(Amiss(e.text, Statistic.BROKEN, Look.for_broken(e, series)) for e in expected.of_numbers),
        *_of_times(expected, raw),
        Amiss(ROWS, Statistic.DUPLICATE, Repeats()),
        Amiss(TIMES_OF_ROWS, Statistic.STALE, p0=TOLERANCE),
        Amiss(TIMES_OF_ROWS, Statistic.EARLY, p0=TOLERANCE),
    ]
    read = _read([found.how for found in wanted], columns, codes, values)
    each = OF_ALL_TRAFFIC * share / max(len(wanted), 1)
    checks = [_check(found, seen, each, rows_per_week) for found, seen in zip(wanted, read, strict=True)]
    places = [_rows_by_cell(cell_of, cells) for cell_of in memberships.T]
    p0 = np.array([np.full(cells, check.p0) for check in checks])
    for at, (found, check) in enumerate(zip(wanted, checks, strict=True)):
        if found.p0 is None and check.p0 < ALMOST_ALL:
            peaks = np.clip(_peaks(read[at], places, cells), LOWEST_P0, ALMOST_ALL)
            moved = [_moved(peak, found.shift) for peak in peaks.tolist()] if found.shift else peaks
            p0[at] = np.minimum(moved, ALMOST_ALL)
    usual = usual_levels(columns, codes, memberships, cells)
    return QualityReference(checks=checks, low=bounds[:, 0].copy(), high=bounds[:, 1].copy(), p0=p0, usual=usual)


def outlier_bounds(column: ReferenceColumn, share: float, rows_per_week: float) -> tuple[float, float]:
    """Return where outliers begin: outside the range that the reference has, or far beyond its outer quantiles.

    The range is the reference's least and largest number and, on either side, the shift that is too small to matter. It
    counts where the first half of the rows tells that of the second, as one that creeps does not; far is three
    interquartile ranges beyond the quantiles of .001 and .999. share: what such a check is worth a week.
    """
    known = column.values[~np.isnan(column.values)]
    if not known.size:
        return -math.inf, math.inf
    low, first, third, high = np.quantile(known, [OUTER, 0.25, 0.75, 1.0 - OUTER]).tolist()
    reach, margin = FAR * (third - first), math.sqrt(column.gate) * float(known.std())
    low, high = low - reach, high + reach
    if _tells_its_range(known, margin, share, rows_per_week):
        low, high = max(low, float(known.min()) - margin), min(high, float(known.max()) + margin)
    return low, high


def beyond_range(rows: int) -> float:
    """Return how many rows may lie beyond the least and the largest of so many, as a share.

    Whatever their law, the share is Beta(2, rows - 1), and more than this once in ten thousand references.
    """
    return min(12.0 / max(rows, 1), ALMOST_ALL)


def _tells_its_range(values: FloatArray, margin: float, share: float, rows_per_week: float) -> bool:
    before, after = np.split(values, [len(values) // 2])
    if len(before) < LEAST_ROWS:
        return False
    is_outside = (after < before.min() - margin) | (after > before.max() + margin)
    p0 = max(beyond_range(len(before)), LOWEST_P0)
    check = Check(feature="", statistic=Statistic.OUTLIER, rate=0.0, p0=p0)
    return not len(bank_of([check], share, rows_per_week).update(is_outside.astype(np.float64)[:, None]))


def _of_columns(
    spec: ModelSpec,
    raw: Sequence[ReferenceColumn],
    columns: Sequence[Column],
    bounds: FloatArray,
    series: Mapping[str, int],
) -> Iterator[Amiss]:
    for place, (found, column, (low, high)) in enumerate(zip(raw, columns, bounds.tolist(), strict=True)):
        name, given = column.name, spec.features.get(column.name)
        is_required = given is not None and given.required and column.role == "feature"
        yield Amiss(name, Statistic.MISSING, Look.for_missing(column, place), TOLERANCE if is_required else None)
        if column.is_numeric:
            yield Amiss(
                name,
                Statistic.OUTLIER,
                Look(Kind.OUTSIDE, series[name], low=low, high=high),
                least=beyond_range(int(column.counts[0].sum())),
                shift=math.sqrt(column.gate),
            )
        elif knows_levels(column) and not (spec.task == "ranking" and column.role == "prediction"):
            # A catalogue has new items all the time, and puts some first.
            yield Amiss(name, Statistic.NEW_CATEGORY, p0=new_level_rate(column))
        if column.has_range:
            most = wilson(column.outside, column_rows(column), ERRORS)[1]
            yield Amiss(name, Statistic.OUT_OF_RANGE, p0=max(most, TOLERANCE))
        if column.role == "feature":
            yield Amiss(name, Statistic.TYPE_ERROR, p0=TOLERANCE)
        wrong = None if given is None or found.is_numeric else wrong_in(given)
        if wrong is not None:
            is_wrong = np.append(wrong(found.texts), np.int8(NOTHING))
            yield Amiss(name, Statistic.FORMAT_ERROR, is_wrong[found.codes])


def _of_times(expected: Expected, raw: Sequence[ReferenceColumn]) -> Iterator[Amiss]:
    by_name = {found.name: found for found in raw}
    given = [by_name[name] for name in expected.times]
    known = [np.append(times_of(found.texts), math.nan)[found.codes] for found in given]
    if known:
        for expectation, is_broken in zip(expected.of_times, expected.broken(np.column_stack(known)), strict=True):
            yield Amiss(expectation.text, Statistic.BROKEN, is_broken)


def column_rows(column: Column) -> int:
    """Return how many rows the reference has."""
    return int(column.counts[0].sum() + column.missing[0])


def _read(
    how: Sequence[How], columns: Sequence[Column], codes: Sequence[Codes], values: Sequence[FloatArray]
) -> list[Flags]:
    """Return the reference's flags of each check, no rows of one that they say nothing of."""
    looks, contents = Looks.of([look for look in how if isinstance(look, Look)]), Contents.of(columns)
    rows = len(codes[0]) if codes else 0
    seen = np.empty((len(looks.kind), rows), np.int8)
    repeats, again = Repeats(), np.empty(rows, np.int8)
    for start in range(0, rows, ROWS_AT_A_TIME):
        part = slice(start, start + ROWS_AT_A_TIME)
        coded, numbers = np.empty((len(again[part]), len(codes)), np.int32), np.empty((len(again[part]), len(values)))
        for place, code in enumerate(codes):
            coded[:, place] = code[part]
        for place, number in enumerate(values):
            numbers[:, place] = number[part]
        seen[:, part] = looks.read(coded, numbers)
        again[part] = repeats.flags(*contents.hashes(coded, numbers))
    looked = iter(seen)
    none = np.zeros(0, np.int8)
    return [
        next(looked) if isinstance(one, Look) else again if isinstance(one, Repeats) else none if one is None else one
        for one in how
    ]


def new_level_rate(column: Column) -> float:
    """Return the largest chance of a level that the reference does not hold (Good and Turing, and two errors more)."""
    rows = max(int(column.counts[0].sum()), 1)
    return column.singletons + 2.0 * math.sqrt(max(column.singletons, 1.0 / rows) / rows)


def _check(found: Amiss, seen: Flags, share: float, rows_per_week: float) -> Check:
    """Return the check of one kind of flags, with the smallest `p0` under which they raise no alarm in their order."""
    defined = seen[seen != NOTHING].astype(np.float64)
    ones, rows = float(defined.sum()), defined.size
    rate = ones / max(rows, 1)
    check = Check(feature=found.feature, statistic=found.statistic, rate=rate, p0=LOWEST_P0)
    if found.p0 is not None:
        return msgspec.structs.replace(check, p0=min(max(found.p0, LOWEST_P0), ALMOST_ALL))
    if rate > ALMOST_ALL or rows < LEAST_ROWS:
        why = f"so are {rate:.0%} of the reference" if rows else "the reference says nothing of it"
        return msgspec.structs.replace(check, p0=ALMOST_ALL, reason=why)
    p0 = max(_moved(max(wilson(ones, rows, ERRORS)[1], LOWEST_P0), found.shift), found.least)
    while p0 < ALMOST_ALL:
        check = msgspec.structs.replace(check, p0=p0)
        if not len(bank_of([check], share, rows_per_week).update(defined[:, None])):
            return check
        p0 *= GROWTH
    return msgspec.structs.replace(check, p0=ALMOST_ALL, reason=ALARMS)


def _moved(share: float, shift: float) -> float:
    """Return what becomes of the share of an outer part of a normal law that moves by so many standard deviations."""
    normal = NormalDist()
    return normal.cdf(normal.inv_cdf(share) + shift)


class _Places(NamedTuple):
    """Rows of one segmentation cell by cell, and the windows that they make."""

    order: IntArray  # rows, those of a cell behind one another, and the cell of each
    cell: IntArray
    starts: IntArray  # of windows among them
    is_whole: BoolArray


def _rows_by_cell(cell_of: Codes, cells: int) -> _Places:
    order = np.argsort(cell_of, kind="stable")
    cell = cell_of[order].astype(np.int64)
    rows = np.bincount(cell, minlength=cells)
    place = np.arange(len(cell)) - np.repeat(np.cumsum(rows) - rows, rows)
    sizes = np.array([window_rows(number) for number in range(cells)])[cell]
    starts = np.flatnonzero(place % sizes == 0)
    return _Places(order, cell, starts, np.diff(np.append(starts, len(cell))) == sizes[starts])


def _peaks(amiss: Flags, places: Sequence[_Places], cells: int) -> FloatArray:
    """Return for each cell the share that counts as none the worse: the largest of its own windows in their order."""
    found = np.zeros(cells)
    for order, cell, starts, is_whole in places:
        is_amiss, is_known = (amiss == 1)[order], (amiss != NOTHING)[order]
        ones, known = (np.add.reduceat(flag, starts, dtype=np.int64) for flag in (is_amiss, is_known))
        shares = np.where(is_whole, ones / np.maximum(known, 1), 0.0)
        np.maximum.at(found, cell[starts], shares)
        total, rows = (np.bincount(cell, flag, minlength=cells) for flag in (is_amiss, is_known))
        for number in np.unique(cell).tolist():
            found[number] = max(found[number], wilson(float(total[number]), float(rows[number]), ERRORS)[1], LOWEST_P0)
    return found
