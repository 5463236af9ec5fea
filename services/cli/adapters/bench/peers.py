"""One window of 5,000 rows and 20 features, from rows to verdicts, against two other tools on the same rows.

All three know 50,000 rows of reference, and are asked for a verdict on every feature. The detector has its baseline
loaded: blocks of served rows become signals, these are counted, and the full window is judged with all its distances,
the prediction and its score besides. Evidently's data drift preset has no such state: it reads the reference in every
call, and always draws the figures of its report, over a quarter of its time. NannyML's univariate calculator, fitted
before, takes the window as one chunk and computes Jensen-Shannon distance and, of numbers, the Kolmogorov-Smirnov
statistic. Each tool runs in a process of its own on tables in memory, times itself, and makes one call that is not
counted.

The first run installs both tools, which takes minutes and the network: this benchmark is run by name only.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from services.cli.adapters.bench.folds import Folds
from services.cli.adapters.peers.environment import interpreter
from services.cli.adapters.peers.process import Peer, running
from services.cli.bench import loans
from services.cli.bench.figure import BenchFailed, Figure, Measure, Place
from services.cli.bench.turns import in_turns
from services.detector.baseline import Baseline
from services.detector.cell_windows import CellWindows
from services.detector.judge import Judge
from services.detector.signals.plan import SignalPlan
from shared.adapters.process import collect_rarely
from shared.events.block import decode

REFERENCE_ROWS, WINDOW_ROWS = 50_000, 5_000
FEATURES = [*loans.NUMERIC, *loans.CATEGORICAL]
SPEC = msgspec.structs.replace(loans.SPEC, segments=[])
CALLS = {"evidently": 1, "nannyml": 5}  # in a run
ROUNDS = 10


class PeersBench:
    """Milliseconds a window, and how many times faster the detector is."""

    needs_stack = False
    figures = (
        Figure(
            name="peers.evidently.ratio",
            unit="ratio",
            what="windows/s of the detector to those of Evidently's data drift preset",
            floor=200.0,
        ),
        Figure(
            name="peers.nannyml.ratio",
            unit="ratio",
            what="windows/s of the detector to those of NannyML's univariate drift calculator",
            floor=10.0,
        ),
        Figure(name="peers.detector", unit="ms", what="5,000 rows x 20 features to verdicts, the detector"),
        Figure(name="peers.evidently", unit="ms", what="5,000 rows x 20 features to verdicts, Evidently"),
        Figure(name="peers.nannyml", unit="ms", what="5,000 rows x 20 features to verdicts, NannyML"),
    )

    @contextmanager
    def ready(self, place: Place) -> Iterator[Measure]:
        """Install the peers where they are not, start them, and build the baseline."""
        python = interpreter(Path(place.settings.cache))
        with ExitStack() as undo:
            folder = Path(undo.enter_context(tempfile.TemporaryDirectory(prefix="driftline-bench-")))
            reference, window = folder / "reference.parquet", folder / "window.parquet"
            pq.write_table(loans.reference(REFERENCE_ROWS).select(FEATURES), reference)
            pq.write_table(loans.served(WINDOW_ROWS).select(FEATURES), window)
            peers = {name: undo.enter_context(running(python, name, reference, window)) for name in CALLS}
            folds = Folds(place.settings, loans.publication(SPEC, loans.reference(REFERENCE_ROWS)))
            batches = [block.batch for block in map(decode, folds.served(WINDOW_ROWS)) if block.batch is not None]
            detector = _Detector(folds.baseline, batches)
            undo.enter_context(collect_rarely())
            yield partial(_measure, detector, peers)


BENCH = PeersBench()


class _Detector:
    """The detector's way from rows to verdicts, on a baseline that is loaded."""

    def __init__(self, baseline: Baseline, batches: Sequence[pa.RecordBatch]) -> None:
        self._batches = batches
        self._plan = SignalPlan(baseline)
        self._judge = Judge(baseline)
        self._windows = CellWindows.of(baseline, [WINDOW_ROWS])

    def ready(self) -> Callable[[], object]:
        """Return the work."""
        return self.verdicts

    def verdicts(self) -> int:
        """Return of how many columns the window was judged; the next one is empty then."""
        columns = 0
        for batch in self._batches:
            closed = self._windows.update(self._plan.served(batch))
            if len(closed):
                judged = self._judge.judge(closed)
                columns = min(judged.verdicts.p_value.shape[1], judged.grid.shape[1])
        return columns


def _measure(detector: _Detector, peers: Mapping[str, Peer]) -> Mapping[str, float]:
    if detector.verdicts() < len(FEATURES):
        raise AssertionError("the detector did not judge the window")
    (before,) = in_turns(time.perf_counter, ROUNDS, detector.ready)
    theirs = {name: _median(name, peer, CALLS[name]) for name, peer in peers.items()}
    (after,) = in_turns(time.perf_counter, ROUNDS, detector.ready)
    ours = (before + after) / 2
    return {
        "peers.detector": ours * 1e3,
        **{f"peers.{name}": seconds * 1e3 for name, seconds in theirs.items()},
        **{f"peers.{name}.ratio": seconds / ours for name, seconds in theirs.items()},
    }


def _median(name: str, peer: Peer, calls: int) -> float:
    answers = [peer.ask() for _ in range(calls)]
    if any(answer.columns != len(FEATURES) for answer in answers):
        raise BenchFailed(f"{name} gave a verdict on {answers[0].columns} of {len(FEATURES)} features")
    return median(answer.seconds for answer in answers)
