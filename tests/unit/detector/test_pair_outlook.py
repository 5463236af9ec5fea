"""What windows of pairs promise before anything runs, and what they cost the others."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from services.cli import foretold
from services.detector.baseline import Baseline
from services.detector.budget import WindowLevels
from services.detector.forecast import forecast
from services.detector.outlook.pairs import of_pairs
from services.detector.outlook.series import Binds, Series
from services.detector.outlook.windows import windows_per_week
from services.detector.pairs.judging import judge_correlations, margins
from services.detector.pairs.reference import PairReferences, ReferenceCoefficient, ReferencePair
from services.detector.statistics.correlation import Correlation
from services.detector.structs import IntArray
from tests.kit.pairs import PAIR, pair_baseline, pair_spec

LEVELS = WindowLevels(single=1e-6, running=1e-3)


def coefficient(r: float = 0.5, phi: float = 1.0, reason: str = "") -> ReferenceCoefficient:
    return ReferenceCoefficient(r=r, rows=20_000, phi=phi, reason=reason)


def pair(pearson: ReferenceCoefficient, spearman: ReferenceCoefficient, *, needs_labels: bool = False) -> ReferencePair:
    return ReferencePair(first="a", second="b", needs_labels=needs_labels, pearson=pearson, spearman=spearman)


def baseline_of(*pairs: ReferencePair, rows_per_week: float = 50_000.0, labels: int = 5_000) -> Baseline:
    references = PairReferences(correlations=list(pairs), joint=[], labels=labels, scales={})
    return msgspec.structs.replace(pair_baseline(), rows_per_week=rows_per_week, pairs=references)


def series_of(*pairs: ReferencePair, rows_per_week: float = 50_000.0) -> Series:
    (one,) = of_pairs(baseline_of(*pairs, rows_per_week=rows_per_week), LEVELS).series
    return one


def test_the_smallest_difference_is_found_in_half_of_all_weeks() -> None:
    one = series_of(pair(coefficient(), coefficient(reason="unsteady")))
    assert one.sight is not None
    assert one.sight.correlation is not None

    source, found = np.random.default_rng(9), 0
    r = 0.5 - one.sight.correlation
    for _ in range(400):
        windows = []
        for _ in range(2):
            x, noise = source.normal(size=(2, 1_000))
            window = Correlation(float(np.corrcoef(x, r * x + math.sqrt(1 - r * r) * noise)[0, 1]), 1_000)
            (pearson, _) = judge_correlations(pair(coefficient(), coefficient()), window, window).readings
            windows.append(pearson)
        strong = [one.passes_gate and one.p_value < LEVELS.single for one in windows]
        paired = all(one.p_value < LEVELS.running for one in windows) and windows[1].passes_gate
        found += any(strong) or paired
    assert found / 400 == pytest.approx(0.5, abs=0.2)


def test_where_windows_are_sharp_the_gate_binds_and_else_the_budget() -> None:
    sharp, blunt = (series_of(pair(coefficient(r), coefficient(reason="none"))) for r in (0.9, 0.0))

    assert (sharp.binds, blunt.binds) == (Binds.GATE, Binds.BUDGET)
    assert sharp.sight is not None
    assert sharp.sight.correlation == pytest.approx(0.1, abs=0.015)


def test_scatter_of_its_own_windows_blunts_a_pair() -> None:
    calm, wild = (series_of(pair(coefficient(phi=phi), coefficient(reason="none"))) for phi in (1.0, 9.0))

    assert calm.sight is not None
    assert wild.sight is not None
    assert (wild.sight.correlation or 0.0) > 2 * (calm.sight.correlation or 0.0)


def test_a_pair_that_does_not_page_says_why_and_one_whose_window_takes_long_says_how_long() -> None:
    silent = series_of(pair(coefficient(reason="thin"), coefficient(reason="thin")))
    slow = series_of(pair(coefficient(), coefficient(), needs_labels=True), rows_per_week=1_000.0)

    assert (silent.why_not, silent.sight, silent.binds) == ("thin", None, None)
    assert slow.why_blind.startswith("1000 rows take 4.0 weeks, then correlation by 0.1")
    assert slow.sight is None


def test_pairs_count_among_the_tests_that_share_the_budget_of_windows() -> None:
    without = msgspec.structs.replace(pair_baseline(), pairs=None, rows_per_week=20_000.0)
    plain = pair(coefficient(), coefficient())
    labelled = pair(coefficient(), coefficient(), needs_labels=True)

    assert windows_per_week(baseline_of(plain, labelled, rows_per_week=20_000.0)) == windows_per_week(without) + 50.0


def test_a_forecast_tells_of_pairs() -> None:
    busy = msgspec.structs.replace(pair_baseline(), rows_per_week=50_000.0)

    found = forecast(busy, pair_spec())

    (cell,) = [cell for cell in found.cells if cell.name == PAIR]
    assert (cell.segment, cell.kind, cell.armed, cell.found_by) == (
        "all",
        "pair",
        ["correlation", "joint"],
        "correlation",
    )
    rows = {row[0]: row for row in foretold.cells(found).rows}
    assert rows[PAIR][3].startswith("correlation by 0.1")
    assert rows["term × error"][5] == "correlation"
    assert {(one.detector, one.kind) for one in found.binding if one.kind == "pair"} == {
        ("correlation", "pair"),
        ("joint", "pair"),
    }
    assert found.kinds["windows"].expected <= found.kinds["windows"].promised


def table(first: list[float], second: list[float], rows: int) -> IntArray:
    counts: IntArray = np.rint(rows * np.outer(first, second)).astype(np.int64).ravel()
    return counts


def test_what_one_column_shows_alone_is_no_news_of_the_pair() -> None:
    fifth, moved = [0.2] * 5, [0.4, 0.3, 0.1, 0.1, 0.1]
    reference, window = table(fifth, fifth, 20_000), table(moved, fifth, 1_000)

    assert margins(window, reference, 1.0) == pytest.approx(
        sum((q - 0.2) * math.log(q / 0.2) for q in moved) - 4 * (1 / 1_000 + 1 / 20_000), abs=0.005
    )
    assert margins(table(fifth, fifth, 1_000), reference, 1.0) == 0.0
