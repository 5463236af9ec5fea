"""What every bank promises. A new bank is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from services.detector import warm
from services.detector.banks.adwin import AdwinBank
from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.banks.detections import Gate
from services.detector.banks.e_detector import EDetectorBank
from services.detector.banks.hddm_a import HddmABank
from services.detector.banks.page_hinkley import PageHinkleyBank
from services.detector.banks.pairs import CorrelationBank
from services.detector.banks.rare_levels import RareLevelBank
from services.detector.banks.river_objects import RiverBank
from services.detector.banks.values import LARGEST
from services.detector.banks.windows import MISSING, WindowBank
from services.detector.state import load, pack, save
from services.detector.structs import FloatArray
from shared.errors import Corrupt, Newer
from tests.kit.windows import each

SERIES = 4
ROWS = 1_500
Report = list[tuple[Any, ...]]
Feed = Callable[[Any, FloatArray, int], Report]


@dataclass(frozen=True)
class Subject:
    """A bank, and how it reports on `values` [rows, series] that begin at a row."""

    make: Callable[[], Any]
    feed: Feed
    flags: bool = False  # it takes 0 and 1 only
    expects: float | None = None  # the only constant on which it has to be silent


def feed_series(bank: Any, values: FloatArray, start: int) -> Report:
    found = bank.update(values)
    columns = (found.series, found.events, found.mean, found.statistic, found.direction)
    return list(zip((found.row + start).tolist(), *(column.tolist() for column in columns), strict=True))


def feed_windows(bank: Any, values: FloatArray, start: int) -> Report:
    finite = np.isfinite(values)
    levels = np.where(finite, values, 0.0).clip(0, 4).astype(np.int32)
    codes = np.where(finite, levels, -1).astype(np.int32)
    cells = np.stack([np.zeros(len(codes)), 1 + levels[:, 0] % 2], axis=1).astype(np.int32)
    grid = np.where(codes < 4, codes, -1).astype(np.int32)
    return [
        (
            window.row + start,
            window.cell,
            window.start_row,
            window.end_row,
            [*window.counts, window.missing, window.unseen, *window.grid],
        )
        for window in each(bank.update(codes, cells, grid))
    ]


def feed_window_moments(bank: Any, values: FloatArray, start: int) -> Report:
    second = 1 + (np.nan_to_num(values[:, 0]) > 1.0)
    cells = np.stack([np.zeros(len(values)), second], axis=1).astype(np.int32)
    nothing = np.zeros((len(values), 0), np.int32)
    closed = bank.update(nothing, cells, nothing, values)
    moments = closed.moments
    return [
        (int(row) + start, int(closed.cell[i]), int(closed.start_row[i]), [moments.of(i, s) for s in range(SERIES)])
        for i, row in enumerate(closed.row.tolist())
    ]


def feed_correlations(bank: Any, values: FloatArray, start: int) -> Report:
    closed = bank.update(values, np.tanh(values))
    return [(window.row + start, window.start_row, window.pearson, window.spearman) for window in closed]


def feed_codes(bank: Any, values: FloatArray, start: int) -> Report:
    known = np.abs(values) <= LARGEST
    return feed_series(bank, np.where(known, 2 * values.clip(0, 2), MISSING).astype(np.int32), start)


def per_series(value: float) -> FloatArray:
    return np.full(SERIES, value)


GATE = Gate(60, per_series(0.3), per_series(1.0))
PAIRS = np.array([[0, 1], [3, 0]])
COUNTS = np.array([160, 340, 340, 160])  # of a reference, per code
BANKS = {
    "adwin": Subject(lambda: AdwinBank(per_series(0.05)), feed_series),
    "adwin, gated": Subject(lambda: AdwinBank(per_series(0.05), gate=GATE), feed_series),
    "page-hinkley, river": Subject(lambda: PageHinkleyBank(per_series(8.0)), feed_series),
    "page-hinkley, verdict": Subject(lambda: PageHinkleyBank.verdict(per_series(12.0), GATE), feed_series, expects=1.0),
    "hddm_a": Subject(lambda: HddmABank(per_series(0.05)), feed_series),
    "hddm_a, two-sided": Subject(lambda: HddmABank(per_series(0.001), two_sided_test=True), feed_series, flags=True),
    "river, values": Subject(lambda: RiverBank("PageHinkley", SERIES, {"threshold": 8.0}), feed_series),
    "river, flags": Subject(lambda: RiverBank("DDM", SERIES), feed_series, flags=True),
    "bernoulli cusum": Subject(
        lambda: BernoulliCusumBank.for_increase(per_series(0.4), per_series(3.0)), feed_series, flags=True
    ),
    "e-detector": Subject(
        lambda: EDetectorBank.of_references([COUNTS] * SERIES, [True] * SERIES, per_series(9.0), 50), feed_codes
    ),
    "rare levels": Subject(
        lambda: RareLevelBank.of_references([np.array([-1, -1, -1, 0])] * SERIES, [COUNTS] * SERIES, per_series(5.0)),
        feed_codes,
    ),
    "windows": Subject(
        lambda: WindowBank(np.array([100, 40, 40]), per_series(4).astype(np.int64), per_series(4).astype(np.int64)),
        feed_windows,
    ),
    "window moments": Subject(
        lambda: WindowBank(np.array([100, 40, 40]), np.zeros(0, np.int64), np.zeros(0, np.int64), SERIES),
        feed_window_moments,
    ),
    "correlations": Subject(lambda: CorrelationBank(100, PAIRS), feed_correlations),
}
OF_ROWS = {feed_windows, feed_window_moments, feed_correlations}  # a row fills them without a value too
BY_SERIES = [name for name in BANKS if BANKS[name].feed not in OF_ROWS]


@pytest.fixture(params=list(BANKS.values()), ids=list(BANKS))
def subject(request: pytest.FixtureRequest) -> Subject:
    chosen: Subject = request.param
    return chosen


def values_for(subject: Subject, rows: int = ROWS) -> FloatArray:
    """Return values that change half-way up and back, with gaps."""
    source = np.random.default_rng(60)
    values = source.normal(1.0, 0.5, size=(rows, SERIES))
    values[rows // 3 : 2 * rows // 3] += [0.5, 1.0, 2.0, -1.5]
    if subject.flags:
        values = (values > 1.2).astype(np.float64)
    values[source.random(values.shape) < 0.03] = np.nan
    return values


def in_batches(subject: Subject, bank: Any, values: FloatArray, cuts: list[int]) -> Report:
    report: Report = []
    for start, end in zip([0, *cuts], [*cuts, len(values)], strict=True):
        report += subject.feed(bank, values[start:end], start)
    return report


def test_the_kernels_of_every_bank_are_compiled_beforehand() -> None:
    names = {subject.make().name for subject in BANKS.values()}
    assert names - {RiverBank.name} <= set(warm.LOOPS)  # river's objects have no kernels
    assert warm.warm(Console(quiet=True)) >= 0.0


def test_results_do_not_depend_on_batches(subject: Subject) -> None:
    values = values_for(subject)
    whole = subject.make()
    expected = subject.feed(whole, values, 0)
    assert expected
    source = np.random.default_rng(61)
    random_cuts = sorted(source.integers(0, ROWS, 40).tolist())
    for cuts in ([1, 2, 3], list(range(1, ROWS)), list(range(32, ROWS, 32)), random_cuts):
        bank = subject.make()
        assert in_batches(subject, bank, values, cuts) == expected
        assert save(bank) == save(whole)


def test_a_bank_resumes_at_every_row_bit_for_bit(subject: Subject) -> None:
    values = values_for(subject, 400)
    whole = subject.make()
    expected = subject.feed(whole, values, 0)
    walker = subject.make()
    report: Report = []
    for row in range(len(values)):
        resumed = load(type(walker), save(walker))
        assert report + subject.feed(resumed, values[row:], row) == expected
        assert save(resumed) == save(whole)
        report += subject.feed(walker, values[row : row + 1], row)


def test_a_snapshot_does_not_move_with_its_bank(subject: Subject) -> None:
    values = values_for(subject)
    bank = subject.make()
    subject.feed(bank, values[:200], 0)
    fields = bank.snapshot()
    before = pack(bank.name, bank.version, fields)
    subject.feed(bank, values[200:], 0)
    assert pack(bank.name, bank.version, fields) == before
    assert save(bank) != before


def constants() -> Iterator[tuple[str, float]]:
    for name, subject in BANKS.items():
        if subject.feed is feed_series:
            levels = (0.0,) if subject.flags else (0.0, 0.1, 1.0, -1e6)
            yield from ((name, level) for level in levels if subject.expects in {None, level})


@pytest.mark.parametrize(("name", "level"), list(constants()))
def test_constants_raise_nothing(name: str, level: float) -> None:
    subject = BANKS[name]
    assert subject.feed(subject.make(), np.full((10_000, SERIES), level), 0) == []


@pytest.mark.parametrize("gap", [np.nan, np.inf, -np.inf, 1e308, -1e101])
@pytest.mark.parametrize("name", BY_SERIES)
def test_rows_without_a_value_leave_no_trace(name: str, gap: float) -> None:
    subject = BANKS[name]
    values = np.nan_to_num(values_for(subject), nan=1.0)
    clean, gapped = subject.make(), subject.make()
    expected = subject.feed(clean, values, 0)
    wide = np.full((2 * len(values), SERIES), gap)
    wide[1::2] = values
    found = subject.feed(gapped, wide, 0)
    assert [(row // 2, *rest) for row, *rest in found] == expected
    assert save(gapped) == save(clean)


@pytest.mark.parametrize("name", BY_SERIES)
def test_the_smallest_values_are_like_zero(name: str) -> None:
    subject = BANKS[name]
    values = values_for(subject)
    values[::2] = 0.0
    expected = subject.feed(subject.make(), values, 0)
    values[::4] = -0.0
    if not subject.flags:
        values[2::8], values[6::8] = 5e-324, -1e-310
    assert subject.feed(subject.make(), values, 0) == expected


@pytest.mark.parametrize("others", [[np.nan], [1e99, 1.0, -1e99, 5e-324, -0.0, np.inf]], ids=["missing", "extreme"])
@pytest.mark.parametrize("name", BY_SERIES)
def test_one_series_does_not_move_another(name: str, others: list[float]) -> None:
    subject = BANKS[name]
    values = values_for(subject)
    shaken = values.copy()
    shaken[:, 0] = np.resize(others, len(values))
    report = [entry for entry in subject.feed(subject.make(), values, 0) if entry[1] != 0]
    assert [entry for entry in subject.feed(subject.make(), shaken, 0) if entry[1] != 0] == report


def test_results_do_not_depend_on_the_number_of_threads(subject: Subject) -> None:
    values = values_for(subject)

    def run(shift: int) -> tuple[Report, bytes]:
        bank = subject.make()
        return subject.feed(bank, np.roll(values, 100 * shift, axis=0), 0), save(bank)

    alone = [run(shift) for shift in range(6)]
    for threads in (2, 6):
        with ThreadPoolExecutor(threads) as pool:
            assert list(pool.map(run, range(6))) == alone


def test_memory_is_bounded_by_the_series(subject: Subject) -> None:
    bank = subject.make()
    sizes = []
    for _ in range(20):
        subject.feed(bank, values_for(subject), 0)
        sizes.append(len(save(bank)))
    assert max(sizes) < 4_000 * SERIES


def test_nothing_in_is_nothing_out(subject: Subject) -> None:
    bank = subject.make()
    before = save(bank)
    assert subject.feed(bank, np.zeros((0, SERIES)), 0) == []
    assert save(bank) == before


def test_values_of_another_layout_are_read_alike(subject: Subject) -> None:
    values = values_for(subject)
    expected = subject.feed(subject.make(), values, 0)
    assert subject.feed(subject.make(), np.asfortranarray(values), 0) == expected
    frozen = values.copy()
    frozen.setflags(write=False)
    assert subject.feed(subject.make(), frozen, 0) == expected


def test_a_later_version_of_the_state_is_refused(subject: Subject) -> None:
    bank = subject.make()
    with pytest.raises(Newer, match="version"):
        load(type(bank), pack(bank.name, bank.version + 1, bank.snapshot()))


def test_a_state_that_lacks_a_field_is_refused(subject: Subject) -> None:
    bank = subject.make()
    for name in bank.snapshot():
        fields = bank.snapshot()
        del fields[name]
        with pytest.raises(Corrupt):
            load(type(bank), pack(bank.name, bank.version, fields))
