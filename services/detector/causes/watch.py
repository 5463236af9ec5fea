"""What the labels since an onset say of its cause: counts per bin, looked at whenever they have doubled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
import numpy as np

from services.detector.baseline import Baseline
from services.detector.causes.bins import bins_of
from services.detector.causes.parts import is_mix_alone, loss_parts
from services.detector.causes.strata import Strata
from services.detector.performance.recent_labels import KEPT, REACH, RecentLabels
from services.detector.signals.labelled import LabelledSignals
from services.detector.structs import CodeArray, FloatArray, IntArray
from shared.events.alert import IncidentKind, LossCause, LossParts, Severity


class SinceOnset(msgspec.Struct):
    """The labels of the predictions from an onset on."""

    onset_row: int
    counts: np.ndarray  # int64 [strata, bins, 2]: labels, and errors among them
    labels: int = 0
    next_look: int = 0

    def add(self, bins: CodeArray, errors: FloatArray) -> None:
        """Count labelled rows; bins: [rows, strata], errors: [rows], 1 error, 0 none."""
        for place in range(self.counts.shape[0]):
            inside = bins[:, place] >= 0
            np.add.at(self.counts[place, :, 0], bins[inside, place], 1)
            np.add.at(self.counts[place, :, 1], bins[inside, place], errors[inside].astype(np.int64))
        self.labels += len(errors)


class CauseState(msgspec.Struct):
    """The state of the causes: the bins of the labels that `RecentLabels` keeps, and the counts of an open incident."""

    bins: np.ndarray  # int32 [KEPT, strata]
    since: SinceOnset | None = None


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a model errs more: what it makes an incident, and the figures."""

    kinds: list[IncidentKind]
    severity: Severity
    parts: list[LossParts]


class CauseWatch:
    """The causes of one model version's losses. Without strata nothing is known of them."""

    def __init__(self, baseline: Baseline) -> None:
        performance = baseline.performance
        self._strata: list[Strata] = [] if performance is None else performance.strata
        self._error = performance.monitors[0].name if performance is not None and performance.monitors else ""
        self._widest = max((len(cut.names) for cut in self._strata), default=0)
        self.state = CauseState(np.full((KEPT, len(self._strata)), -1, np.int32))

    def append(self, first: int, rows: LabelledSignals) -> None:
        """Keep the bins of labels, which are numbered from `first` on."""
        self.state.bins[np.arange(first, first + len(rows.labels)) % KEPT] = bins_of(self._strata, rows)

    def begin(self, onset_row: int, label: int, recent: RecentLabels) -> None:
        """Begin with the kept labels up to one, of the predictions from an onset on."""
        since = SinceOnset(onset_row, np.zeros((len(self._strata), self._widest, 2), np.int64))
        kept = np.arange(max(label - REACH + 1, 0), label + 1) % KEPT
        errors = recent.values[kept, 0].astype(np.float64)
        held = (recent.row[kept] >= onset_row) & ~np.isnan(errors)
        since.add(self.state.bins[kept[held]], errors[held])
        since.next_look = 2 * max(since.labels, 1)
        self.state.since = since

    def end(self) -> None:
        """Forget the counts: the incident is closed."""
        self.state.since = None

    def later(self, labels: IntArray, errors: FloatArray, rows: IntArray) -> Iterator[tuple[int, Cause]]:
        """Count later labels, kept ones, in order; yields each row at which they have doubled, and the cause by then.

        labels: [rows], their numbers; errors: [rows], 1 error, 0 none, NaN undefined; rows: [rows], of the predictions.
        """
        since, bins = self.state.since, self.state.bins[labels % KEPT]
        if since is None:
            return
        held = np.flatnonzero((rows >= since.onset_row) & ~np.isnan(errors))
        start = 0
        while start < len(held):
            stop = min(start + since.next_look - since.labels, len(held))
            since.add(bins[held[start:stop]], errors[held[start:stop]])
            if since.labels == since.next_look:
                since.next_look *= 2
                yield int(held[stop - 1]), self.cause()
            start = stop

    def correct(self, rows: LabelledSignals, served: IntArray, before: FloatArray, after: FloatArray) -> None:
        """Replace the labels of predictions; before, after: [rows], 1 error, 0 none, NaN undefined."""
        since = self.state.since
        if since is None:
            return
        known = ~np.isnan([before, after])
        changes = np.column_stack([np.subtract(*known[::-1].astype(np.int64)), (after == 1.0) * 1 - (before == 1.0)])
        bins = bins_of(self._strata, rows)
        for row in np.flatnonzero(served >= since.onset_row).tolist():
            for place in np.flatnonzero(bins[row] >= 0).tolist():
                labels, errors = (since.counts[place, bins[row, place]] + changes[row]).tolist()
                # One that was older than what is kept when the incident opened was not counted.
                since.counts[place, bins[row, place]] = max(labels, 0), min(max(errors, 0), max(labels, 0))

    def cause(self) -> Cause:
        """Return what the labels say so far."""
        told = self._parts()
        kinds, severity = [IncidentKind.PERFORMANCE_DEGRADATION], Severity.CRITICAL
        if len(told) > 1:
            kinds, severity = [IncidentKind.TRAFFIC_MIX, *kinds], Severity.WARNING
        elif told and told[0].verdict is LossCause.CONCEPT:
            kinds = [IncidentKind.CONCEPT_DRIFT, *kinds]
        elif told and told[0].verdict is LossCause.MIXED:
            kinds = [*kinds, IncidentKind.CONCEPT_DRIFT]
        return Cause(kinds, severity, told)

    def _parts(self) -> list[LossParts]:
        """Return the loss by the score, and by the segments that make it up where some do."""
        found: list[LossParts] = []
        since = self.state.since
        if since is None:
            return found
        for cut, counts in zip(self._strata, since.counts, strict=True):
            labels, errors = counts[: len(cut.names)].T
            if not labels.any() or not cut.labels.any():
                continue
            parts = loss_parts(self._error, cut, labels, errors)
            if not cut.is_of_segments:
                found.append(parts)
            elif found and is_mix_alone(parts):
                return [*found, parts]
        return found
