"""What a checkpoint holds of a watch."""

from __future__ import annotations

import msgspec

from services.detector.advisory.watch import AdvisoryState
from services.detector.degradation.watch import DegradationWatchState
from services.detector.drift import DriftState
from services.detector.fairness.watch import FairnessState
from services.detector.incidents.drift import DriftIncidents
from services.detector.losses import LossState
from services.detector.mixes.watch import MixState
from services.detector.new_cells import NewCellsState
from services.detector.pairs.watch import PairState
from services.detector.performance.cohorts import CohortState
from services.detector.places import Places
from services.detector.quality.watch import QualityState
from services.detector.report_windows import ReportState
from services.detector.rules.watch import RuleWatchState
from services.detector.serving.watch import ServingState
from services.detector.stream_time import StreamTime


class WatchState(msgspec.Struct):
    """A watch on the wire."""

    stream_time: StreamTime
    places: Places
    drift: DriftState
    pairs: PairState | None
    mixes: MixState
    serving: ServingState
    banks: tuple[bytes, ...]
    drift_incidents: DriftIncidents
    quality: QualityState
    rules: RuleWatchState
    degradation: DegradationWatchState
    fairness: FairnessState
    advisory: AdvisoryState
    report: ReportState | None
    new_cells: NewCellsState
    losses: LossState
    cohorts: CohortState
