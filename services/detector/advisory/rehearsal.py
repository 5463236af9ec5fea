"""Named detectors on the reference's own rows: how often each would have spoken where nothing was wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from services.detector.advisory.binding import BoundDetector, Source
from services.detector.advisory.watch import AdvisoryWatch, Spoken
from services.detector.baseline import Baseline
from services.detector.reference_batches import a_month, labelled_batches, reference_batches
from services.detector.reference_table import ReferenceTable
from services.detector.signals.labelled import LabelledPlan
from services.detector.signals.plan import SignalPlan
from services.detector.structs import FloatArray

ROWS = 20_000  # that are tried, the first: some detectors of river take a fifth of a millisecond for each


class DetectorRehearsal(msgspec.Struct, kw_only=True):
    """What one named detector said on the reference."""

    detector: str
    values: int = 0  # that its signal had
    fired: int = 0  # times that it spoke
    incidents: int = 0  # in which these were told
    fired_a_month: float | None = None  # at the pace of the reference; None where nothing tells it


def rehearse_detectors(
    detectors: Sequence[BoundDetector], baseline: Baseline, reference: ReferenceTable
) -> list[DetectorRehearsal]:
    """Return what each named detector would have said on the reference that the baseline is of.

    Labels are taken in the order of their predictions.
    """
    watch = AdvisoryWatch(detectors)
    found = [DetectorRehearsal(detector=bound.spec.text) for bound in detectors]
    speaking: set[int] = set()
    for values, spoken in _parts(watch, detectors, baseline, reference):
        for place, of_signal in values.items():
            found[place].values += int(np.isfinite(of_signal).sum())
        for one in spoken:
            if one.events == 0:
                speaking.discard(one.place)
                continue
            found[one.place].fired += 1
            found[one.place].incidents += one.place not in speaking
            speaking.add(one.place)
    for rehearsal in found:
        rehearsal.fired_a_month = a_month(rehearsal.fired, baseline, min(reference.rows, ROWS))
    return found


def _parts(
    watch: AdvisoryWatch, detectors: Sequence[BoundDetector], baseline: Baseline, reference: ReferenceTable
) -> Iterator[tuple[dict[int, FloatArray], list[Spoken]]]:
    """Yield the values of the detectors that read a part of the reference, by their place, and what these said."""
    of_rows = [place for place, bound in enumerate(detectors) if bound.source is Source.COLUMN]
    if of_rows:
        plan, first_row = SignalPlan(baseline), 0
        for batch in reference_batches(reference, ROWS):
            served = plan.served(batch)
            yield {at: detectors[at].of_served(served) for at in of_rows}, watch.served(served, first_row)
            first_row += batch.num_rows
    of_labels = [place for place in range(len(detectors)) if place not in of_rows]
    if of_labels:
        labels = LabelledPlan(baseline)
        for batch in labelled_batches(reference, ROWS):
            labelled = labels.signals(batch, np.zeros((batch.num_rows, 1), np.int32))
            yield {at: detectors[at].of_labelled(labelled) for at in of_labels}, watch.labelled(labelled)
