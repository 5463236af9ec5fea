"""Estimates of one model version: served rows in, what its cohorts should turn out to be out."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from services.detector.baseline import Baseline
from services.detector.estimates.alarms import EstimateAlarms
from services.detector.estimates.books import CohortPlace, EstimateBooks
from services.detector.estimates.expected import Expectation
from services.detector.estimates.judging import Estimated, compare, is_unreliable
from services.detector.report import CohortRow, EstimateRow
from services.detector.segments import Memberships
from services.detector.signals.plan import Signals
from shared.events.alert import Severity


class EstimateWatch:
    """Estimates performance; decides about nothing that labels decide."""

    def __init__(self, baseline: Baseline, sizes: Sequence[int], severity: Severity | None = None) -> None:
        """Begin; `severity` is that of the incident of an early warning, None for none."""
        self._task = baseline.task
        self._expectation = Expectation(baseline)
        self.books = EstimateBooks(self._expectation, sizes)
        self.alarms = EstimateAlarms(severity, baseline.task, self._expectation.reference)

    @property
    def why_not(self) -> str:
        """Return why nothing is estimated; empty where something is."""
        return self._expectation.why_not

    def served(self, signals: Signals, cells: Memberships) -> list[CohortPlace]:
        """Take served rows and their cells; return the cohorts that are full now."""
        return self.books.serve(signals, cells)

    def estimated(self, place: CohortPlace) -> Estimated | None:
        """Return what is expected of a full cohort."""
        found = self.books.found(place)
        if found is None:
            return None
        sums, areas = found
        loss, variance = self._expectation.loss(sums)
        return Estimated(float(sums[0]), loss, variance, self._expectation.metrics(sums, areas))

    def row(self, model: str, version: str, segment: str, place: CohortPlace) -> EstimateRow | None:
        """Return what is expected of a full cohort, to be read before its labels come."""
        found = self.estimated(place)
        if found is None:
            return None
        start, end = self.books.span(place)
        return EstimateRow(
            model=model,
            model_version=version,
            segment=segment,
            cohort_start_row=start,
            cohort_end_row=end,
            n_predicted=end - start + 1,
            n_estimated=int(found.rows),
            estimate_warning=self._warns(found),
            metrics=found.metrics,
        )

    def beside(self, row: CohortRow, place: CohortPlace) -> CohortRow:
        """Return what labels say of a cohort with what was expected of it, and how far that was off."""
        found, reference = self.estimated(place), self._expectation.reference
        if found is None or reference is None:
            return row
        gaps = compare(self._task, found, reference, row.n_labelled, row.metrics)
        return replace(
            row,
            metrics=row.metrics | found.metrics | gaps,
            estimate_warning=self._warns(found),
            estimate_unreliable=is_unreliable(gaps, row.coverage, row.n_labelled, is_final=row.state == "final"),
        )

    def _warns(self, found: Estimated) -> bool:
        reference = self._expectation.reference
        return reference is not None and found.warns(reference)
