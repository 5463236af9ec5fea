"""Compile every kernel of the detector before it is needed: `python -m services.detector.warm`.

A detector that finds its kernels compiled starts in a second; one that does not compiles for a minute.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from services.detector.adapters.kernel_cache import use_kernel_cache
from services.detector.array_bytes import read, written
from services.detector.banks.adwin import AdwinBank
from services.detector.banks.bernoulli_cusum import BernoulliCusumBank
from services.detector.banks.e_detector import EDetectorBank
from services.detector.banks.hddm_a import HddmABank
from services.detector.banks.hourly_counts import HourlyCountsBank
from services.detector.banks.page_hinkley import PageHinkleyBank
from services.detector.banks.pairs import CorrelationBank
from services.detector.banks.rare_levels import RareLevelBank
from services.detector.banks.windows import WindowBank
from services.detector.baseline import Column
from services.detector.estimates.expected import add_bins, add_classes, add_losses
from services.detector.estimates.loss_tree import Input, grow
from services.detector.grid import Grid, RankScale
from services.detector.intervals import Intervals, Scales, place_all
from services.detector.performance.cell_cohorts import served_key
from services.detector.performance.cohorts import Cohorts, Labelled
from services.detector.performance.metrics.rankings import row_metrics
from services.detector.performance.tally import Tally
from services.detector.quality.counts import CellCounts
from services.detector.quality.flags import Kind, Look, Looks
from services.detector.quality.reference import UsualLevels
from services.detector.quality.repeats import Contents, Repeats
from services.detector.quality.vanished import VanishedBank
from services.detector.seasons.clock import HOURS
from services.detector.seasons.mixture import mixtures
from services.detector.seasons.profile import Profile
from services.detector.signals.columns import numbers, translated
from services.detector.statistics.verdict import judge
from services.detector.statistics.window_kernel import GRID_WIDTH, grid_statistics
from services.detector.stream_time import StreamTime
from services.detector.structs import IntArray
from shared.events.ranking import pack_gains, pack_items

_ONE = np.ones(1)
_ROW = np.ones((1, 1))
_CODE = np.zeros((1, 1), np.int32)
_SIZE = np.ones(1, np.int64)
_PAIR = np.array([0, 1])
_GRID = Grid(_ONE)


def _places() -> None:
    search, ends, ranks = Intervals.between(_ONE), np.zeros((1, 2, 2), np.int32), np.ones((1, 2, 3))
    tables = search.edges[np.newaxis], search.below[np.newaxis], _ONE, _ONE
    scales = Scales(*tables, bin_edges=_ROW, ends=ends, ranks=ranks, margin=_ONE)
    place_all(_ROW, _CODE, scales, _SIZE - 1, _CODE.copy(), _CODE.copy(), _ROW.copy(), _ROW.copy())


def _windows(sizes: IntArray) -> None:
    bank = WindowBank(sizes, _SIZE, _SIZE, 1)
    bank.update(_CODE, _CODE, _CODE, _ROW)
    bank.close(0)


def _cohorts(tally: Tally) -> None:
    cohorts, key = Cohorts(["all"], [1], tally, np.full((len(tally.curves), 1), np.inf)), served_key(_SIZE, _SIZE)
    cohorts.serve(0, 1, _CODE, _SIZE, _SIZE - 1, {0: 1})
    cohorts.label(0, Labelled(key, _CODE, tally.contributions(_ONE, _ONE, np.ones((1, len(tally.curves))) / 2)))
    cohorts.snapshot()


def _estimates() -> None:
    add_classes(np.zeros(9), np.ones((1, 2)), _SIZE, _SIZE - 1)
    add_losses(np.zeros(6), np.ones((1, 3)), _SIZE - 1)
    add_bins(np.zeros((1, 1, 2)), np.ones((1, 2)), _SIZE, np.zeros((1, 1), np.int64), _SIZE - 1)
    grow([Input("a", _ONE, _SIZE[:0], [])], _ONE)


def _vanished() -> None:
    usual = UsualLevels(place=_SIZE - 1, code=_SIZE - 1, limit=_CODE + 1)
    column = Column(
        name="",
        source="",
        role="feature",
        kind="categorical",
        counts=_CODE.astype(np.int64),
        missing=_SIZE - 1,
        missing_peak=0.0,
        edges=_ONE[:0],
        grid_edges=_ONE[:0],
        grid_counts=np.zeros((1, 0), np.int64),
        levels=["a"],
    )
    list(VanishedBank([column], usual).take(_CODE, _CODE, 0))


def _rankings() -> None:
    item, gains = pack_items(["a"]), pack_gains({"a": 1})
    row_metrics(pa.array([item], pa.binary()), pa.array([gains], pa.binary()), [1])


LOOPS: dict[str, Callable[[], object]] = {
    AdwinBank.name: lambda: AdwinBank(_ONE / 500).update(_ROW),
    PageHinkleyBank.name: lambda: PageHinkleyBank(_ONE).update(_ROW),
    HddmABank.name: lambda: HddmABank(_ONE / 500).update(_ROW),
    BernoulliCusumBank.name: lambda: BernoulliCusumBank.for_increase(_ONE / 2, _ONE).update(_ROW),
    EDetectorBank.name: lambda: EDetectorBank.of_references([_PAIR], [False], _ONE, 1).update(_CODE),
    RareLevelBank.name: lambda: RareLevelBank.of_references([_PAIR - 1], [_PAIR], _ONE).update(_CODE),
    WindowBank.name: lambda: _windows(_SIZE),
    "windows of days": lambda: _windows(_SIZE << 62),
    HourlyCountsBank.name: lambda: HourlyCountsBank(1, 1, _SIZE).update(_CODE, _CODE, _CODE[0]),
    "hourly profiles": lambda: mixtures(
        Profile(np.zeros(HOURS, np.int64), _CODE + 1, _CODE), np.ones((1, HOURS)), slice(0, 1)
    ),
    CorrelationBank.name: lambda: CorrelationBank(1, np.zeros((1, 2), np.int64)).update(_ROW, _ROW),
    "numbers": lambda: numbers(pa.array(_ONE)),
    "categories": lambda: translated(pa.array(["a"]), len, -1),
    "ranks": lambda: RankScale.of(_GRID, _PAIR).ranks(_ONE, _GRID.locate(_ONE)),
    "places": _places,
    "flags": lambda: Looks.of([Look(Kind.OUTSIDE, 0)]).read(_CODE, _ROW),
    "flags in cells": lambda: list(CellCounts.of(_SIZE, 1).take(np.ones((1, 1), np.int8), _CODE, 0)),
    "vanished categories": _vanished,
    "repeated rows": lambda: Repeats().flags(*Contents.of([]).hashes(_CODE, _ROW)),
    "stream time": lambda: StreamTime().advance(_SIZE),
    "verdicts": lambda: judge(_ONE, _ONE, ordered=True),
    "grid distances": lambda: grid_statistics(
        _CODE, _SIZE - 1, _CODE, _ONE[:0], np.ones((1, 2)), np.zeros(4, np.int64), np.ones((1, GRID_WIDTH))
    ),
    "states": lambda: read(_SIZE.dtype, _SIZE.shape, written(_SIZE)),
    "cohorts": lambda: _cohorts(Tally("binary", ("a", "b"), 1)),
    "cohorts of several classes": lambda: _cohorts(Tally("multiclass", ("a", "b"))),
    "estimates": _estimates,
    "cohorts of errors": lambda: _cohorts(Tally("regression", ())),
    "cohorts of rankings": _rankings,
}


def warm(console: Console) -> float:
    """Compile all kernels, or load them where they are compiled already; return the seconds it took."""
    columns = (TextColumn("compiling {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("", total=len(LOOPS))
        for name, update in LOOPS.items():
            bars.update(bar, description=name)
            update()
            bars.advance(bar)
        return float(bars.tasks[bar].elapsed or 0.0)


def main() -> None:
    """Warm the cache that the services of this user will use."""
    folder = use_kernel_cache()
    console = Console(stderr=True)
    seconds = warm(console)
    where = f"kept in {folder}" if folder else "not kept: there is nowhere to write"
    console.print(f"kernels compiled in {seconds:.1f} s, {where}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
