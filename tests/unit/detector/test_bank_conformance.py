"""What every bank promises. A new bank is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from services.detector import warm
from services.detector.banks.adwin import AdwinBank
from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.banks.detections import Gate
from services.detector.banks.moments import MomentsBank
from services.detector.banks.page_hinkley import PageHinkleyBank
from services.detector.banks.windows import WindowBank
from services.detector.state import load, pack, save
from services.detector.structs import FloatArray
from shared.errors import Corrupt

SERIES = 4
from tests.kit.windows import each
ROWS = 1_500
Report = list[tuple[Any, ...]]
Feed = Callable[[Any, FloatArray, int], Report]


@dataclass(frozen=True)
class Subject:
    """A bank, and how it reports on `values` [rows, series] that begin at a row."""

    make: Callable[[], Any]
    feed: Feed
    flags: bool = False  # it takes 0 and 1 only


def feed_series(bank: Any, values: FloatArray, start: int) -> Report:
    found = bank.update(values)
    columns = (found.series, found.events, found.mean, found.statistic, found.direction)
    return list(zip((found.row + start).tolist(), *(column.tolist() for column in columns), strict=True))


def feed_moments(bank: Any, values: FloatArray, start: int) -> Report:  # noqa: ARG001 - moments report no rows
    bank.update(values)
    return []


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


def per_series(value: float) -> FloatArray:
    return np.full(SERIES, value)


GATE = Gate(60, 0.3, per_series(1.0))
BANKS = {
    "adwin": Subject(lambda: AdwinBank(per_series(0.05)), feed_series),
    "adwin, gated": Subject(lambda: AdwinBank(per_series(0.05), gate=GATE), feed_series),
    "page-hinkley, river": Subject(lambda: PageHinkleyBank(per_series(8.0)), feed_series),
    "page-hinkley, verdict": Subject(lambda: PageHinkleyBank.verdict(per_series(12.0), GATE), feed_series),
    "bernoulli cusum": Subject(
        lambda: BernoulliCusumBank.for_increase(per_series(0.4), per_series(3.0)), feed_series, flags=True
    ),
    "windows": Subject(
        lambda: WindowBank(np.array([100, 40, 40]), per_series(4).astype(np.int64), per_series(4).astype(np.int64)),
        feed_windows,
    ),
    "moments": Subject(lambda: MomentsBank(SERIES), feed_moments),
}
BY_SERIES = [name for name in BANKS if BANKS[name].feed is not feed_windows]  # cells of windows are made of rows


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


def test_its_kernels_are_compiled_beforehand(subject: Subject) -> None:
    assert subject.make().name in warm.LOOPS
    assert warm.warm(Console(quiet=True)) >= 0.0


def test_results_do_not_depend_on_batches(subject: Subject) -> None:
    values = values_for(subject)
    whole = subject.make()
    expected = subject.feed(whole, values, 0)
    assert expected or isinstance(whole, MomentsBank)
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


@pytest.mark.parametrize("name", [name for name in BANKS if BANKS[name].feed is feed_series])
def test_constants_raise_nothing(name: str) -> None:
    subject = BANKS[name]
    level = 0.0 if subject.flags else 1.0
    assert subject.feed(subject.make(), np.full((10_000, SERIES), level), 0) == []


@pytest.mark.parametrize("gap", [np.nan, np.inf, -np.inf])
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
def test_one_series_does_not_move_another(name: str) -> None:
    subject = BANKS[name]
    values = values_for(subject)
    shaken = values.copy()
    shaken[:, 0] = np.nan
    report = [entry for entry in subject.feed(subject.make(), values, 0) if entry[1] != 0]
    assert subject.feed(subject.make(), shaken, 0) == report


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


def test_an_unknown_version_of_the_state_is_refused(subject: Subject) -> None:
    bank = subject.make()
    with pytest.raises(Corrupt, match="version"):
        load(type(bank), pack(bank.name, bank.version + 1, bank.snapshot()))


def test_a_state_that_lacks_a_field_is_refused(subject: Subject) -> None:
    bank = subject.make()
    for name in bank.snapshot():
        fields = bank.snapshot()
        del fields[name]
        with pytest.raises(Corrupt):
            load(type(bank), pack(bank.name, bank.version, fields))
