"""What is shown of a watch: to heartbeats, to metrics, to who asks. It changes nothing."""

from __future__ import annotations

from services.detector.advisory.watch import AdvisoryWatch
from services.detector.baseline import Baseline
from services.detector.degradation.watch import DegradationWatch
from services.detector.drift import DriftWatch
from services.detector.estimates.expected import ESTIMATES
from services.detector.fairness.watch import FairnessWatch
from services.detector.figures import Figures
from services.detector.incidents.drift import DriftIncidents
from services.detector.incidents.incident import OpenIncident
from services.detector.losses import LossWatch
from services.detector.mixes.watch import MixWatch
from services.detector.new_cells import NewCells
from services.detector.pairs.watch import PairWatch
from services.detector.places import Places
from services.detector.quality.watch import QualityWatch
from services.detector.rules.watch import RuleWatch
from services.detector.serving.watch import ServingWatch
from services.detector.stream_time import StreamTime
from shared.definition import Definition
from shared.events.alert import Unwatched


class WatchView:
    """The parts of a watch, and what they say of themselves."""

    definition: Definition
    model_version: str
    drift: DriftWatch
    new_cells: NewCells
    _baseline: Baseline
    _stream: StreamTime
    _places: Places
    _pairs: PairWatch
    _mixes: MixWatch
    _serving: ServingWatch
    _incidents: DriftIncidents
    _quality: QualityWatch
    _rules: RuleWatch
    _degradation: DegradationWatch
    _fairness: FairnessWatch
    _advisory: AdvisoryWatch
    _losses: LossWatch

    @property
    def rows_served(self) -> int:
        """Return the served rows so far."""
        return self._places.rows

    @property
    def rows_labelled(self) -> int:
        """Return the labelled rows so far; corrections do not count again."""
        return self._losses.labels

    @property
    def stream_time(self) -> int | None:
        """Return the model's stream time."""
        return self._stream.now

    @property
    def armed_all_traffic(self) -> float:
        """Return the share of all-traffic cells that may page now."""
        return self.drift.armed_all_traffic

    @property
    def armed_segments(self) -> float:
        """Return the share of segment cells that may page now, new ones included."""
        return self.new_cells.armed_segments(self.drift.is_armed[:, 1:])

    @property
    def faulted(self) -> dict[str, str]:
        """Return the detectors that gave up, with the reason."""
        return self._advisory.faulted

    @property
    def not_armed(self) -> dict[str, str]:
        """Return the columns that do not page on all traffic now, with the reason."""
        return self.drift.not_armed | self._pairs.why_not | self._mixes.why_not

    def not_watched(self) -> dict[Unwatched, dict[str, str]]:
        """Return what does not page now, with the reasons."""
        inputs = {Unwatched.COLUMN: self.not_armed, Unwatched.SEGMENT: self.new_cells.not_armed}
        why = self._losses.estimates.why_not
        estimates = {ESTIMATES: why} if why else {}
        performance = self._losses.why_not | self._degradation.why_not | estimates
        return inputs | {Unwatched.QUALITY: self._quality.why_not, Unwatched.PERFORMANCE: performance}

    def open_incidents(self) -> list[str]:
        """Return the ids of open incidents."""
        return [incident.incident_id for incident in self._open()]

    def figures(self) -> Figures:
        """Return what is shown of the watch; changes nothing."""
        others = [self._losses.books[segmentation.other].rows for segmentation in self._baseline.segmentations]
        return Figures(
            rows_served=self.rows_served,
            rows_labelled=self.rows_labelled,
            rows_other=sum(others),
            cells=len(self._baseline.cells),
            new_cells=self.new_cells.figures(),
            seasons=self.drift.calibration.figures(),
            columns_not_armed=len(self.not_armed),
            armed_all_traffic=self.armed_all_traffic,
            armed_segments=self.armed_segments,
            faulted=len(self.faulted),
            stream_time_ms=self.stream_time,
            open_incidents=[incident.kinds[0] for incident in self._open()],
            performance=self._losses.newest_cohort(self.definition.model, self.model_version),
            serving=self._serving.state.last,
            rows_failed=self._serving.state.failed,
            estimate=self._losses.newest_estimate(self.definition.model, self.model_version),
            fairness=self._fairness.metrics,
            fairness_groups=self._fairness.groups,
            rings=self._places.rings() | self._losses.rings() | self.drift.rings() | self._pairs.rings(),
        )

    def _open(self) -> list[OpenIncident]:
        calibrated = (self._incidents.open, self._losses.incidents.open)
        people = (self._rules, self._degradation, self._fairness, self._advisory, self._serving)
        by_people = [
            incident for one in (*people, self._losses.estimates.alarms) for incident in one.incidents.open.values()
        ]
        return [incident for incident in (*self._quality.incidents.open, *calibrated, *by_people) if incident]
