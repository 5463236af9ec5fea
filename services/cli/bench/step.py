"""The step of the detector that every served row pays for: signals, then every bank. No verdicts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from services.detector.banks.adwin import AdwinBank
from services.detector.banks.page_hinkley import PageHinkleyBank
from services.detector.banks.windows import WindowBank
from services.detector.baseline import Baseline, window_rows
from services.detector.signals.plan import SignalPlan

ADWIN_DELTA = 0.002  # river's defaults
PAGE_HINKLEY_THRESHOLD = 50.0


class Step:
    """Signals and banks of one model version.

    On all traffic ADWIN reads the ranks and Page-Hinkley the normal scores of every numeric column; in every cell
    there are histograms of all columns, the fine ones of the numeric ones, and their moments.
    """

    def __init__(self, baseline: Baseline) -> None:
        columns, numeric = baseline.columns, baseline.numeric
        sizes = np.array([window_rows(cell) for cell in range(len(baseline.cells))])
        self._plan = SignalPlan(baseline)
        self.adwin = AdwinBank(np.full(len(numeric), ADWIN_DELTA))
        self.page_hinkley = PageHinkleyBank(np.full(len(numeric), PAGE_HINKLEY_THRESHOLD))
        self.windows = WindowBank(
            sizes,
            np.array([column.bins for column in columns]),
            np.array([column.grid_counts.shape[1] for column in columns]),
            len(numeric),
        )

    def fold(self, batch: pa.RecordBatch) -> None:
        """Take one block of served rows."""
        signals = self._plan.served(batch)
        self.adwin.update(signals.ranks)
        self.page_hinkley.update(signals.normal_scores)
        self.windows.update(signals.codes, signals.cells, signals.grid, signals.values)
