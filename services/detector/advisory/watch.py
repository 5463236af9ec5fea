"""The named detectors of one model version: rows in, changes of their incidents out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import msgspec
import numpy as np

from services.detector.advisory.binding import BoundDetector, Source
from services.detector.advisory.named import Bank
from services.detector.baseline import WINDOW_ALL
from services.detector.incidents.advisory import AdvisoryIncidents
from services.detector.incidents.culprits import since_onset
from services.detector.incidents.drift import CALM_WINDOWS, Change
from services.detector.incidents.incident import OpenIncident
from services.detector.rules.watch import Changed, Moment
from services.detector.signals.labelled import LabelledSignals
from services.detector.signals.plan import Signals
from services.detector.state import load, save
from services.detector.structs import FloatArray, IntArray
from shared.events.alert import Culprit, Place

ADVISORY = "advisory"
QUIET = CALM_WINDOWS * WINDOW_ALL  # values without a detection until an incident resolves
_FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)  # of code that is not ours


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a detector said at one row: that something changed, or nothing for long."""

    row: int  # of the model, or of the labelled block
    place: int  # of the detector in the configuration
    events: int  # since the change, or since the detector last started; 0 where it fell silent
    mean: float  # of these


class Standing(msgspec.Struct):
    """One detector between blocks."""

    bank: bytes
    quiet: int  # values since it last spoke
    speaks: bool  # it spoke, and has not kept quiet for long since
    fault: str  # why it gave up; empty where it did not


class AdvisoryState(msgspec.Struct):
    """What is kept of the named detectors."""

    standings: list[Standing]
    incidents: AdvisoryIncidents


class AdvisoryWatch:
    """Tells by incidents of their own what named detectors find. They neither see nor touch what is calibrated."""

    def __init__(self, detectors: Sequence[BoundDetector]) -> None:
        self.incidents = AdvisoryIncidents()
        self._followed = [_Followed(place, bound) for place, bound in enumerate(detectors)]

    @property
    def faulted(self) -> dict[str, str]:
        """Return the detectors that gave up, with the reason."""
        return {one.bound.spec.text: one.fault for one in self._followed if one.fault}

    def served(self, signals: Signals, first_row: int) -> list[Spoken]:
        """Fold served rows, the first of which is the model's row `first_row`; what was said, in row order."""
        return _in_order(
            one.follow(one.bound.of_served(signals), first_row)
            for one in self._followed
            if one.bound.source is Source.COLUMN
        )

    def seen(self, spoken: Spoken, moment: Moment) -> list[Changed]:
        """Take what was said of served rows; return the changes of incidents, at most one."""
        onset = max(spoken.row - self._since(spoken) + 1, 0)
        changed = self._take(spoken, lambda: (moment.place(onset), moment.place(spoken.row)), moment.incident_id)
        return [] if changed is None else [changed]

    def labelled(self, signals: LabelledSignals) -> list[Spoken]:
        """Fold labelled rows; return what was said, in row order."""
        return _in_order(
            one.follow(one.bound.of_labelled(signals), 0)
            for one in self._followed
            if one.bound.source is not Source.COLUMN
        )

    def heard(
        self,
        signals: LabelledSignals,
        places: Callable[[int, str, int], tuple[Place, Place]],
        incident_id: Callable[[str, int], str],
    ) -> Iterator[tuple[int, Change, OpenIncident]]:
        """Fold labelled rows; yield the changes of incidents with their rows, in row order.

        places: where the last so many values of a signal began, seen from a row, and that row. incident_id: of a family
        of incidents that open at a row.
        """
        for spoken in self.labelled(signals):
            signal, row = self._followed[spoken.place].bound.spec.signal, spoken.row
            changed = self._take(
                spoken, partial(places, row, signal, self._since(spoken)), partial(_at, incident_id, row)
            )
            if changed is not None:
                yield (row, *changed)

    def _since(self, spoken: Spoken) -> int:
        """Return how many values back the change began; 1 where the detector does not say."""
        return spoken.events if self._followed[spoken.place].bound.named.knows_onset else 1

    def _take(
        self, spoken: Spoken, places: Callable[[], tuple[Place, Place]], incident_id: Callable[[str], str]
    ) -> Changed | None:
        """Return the change of an incident that a detector's word is, if it is one."""
        if spoken.events == 0:
            return self.incidents.resolve(spoken.place)
        if spoken.place in self.incidents.open:
            return None
        bound = self._followed[spoken.place].bound
        onset, at = places()
        return self.incidents.speak(
            spoken.place,
            bound.spec.text,
            bound.kind,
            incident_id(f"detector {bound.spec.text}"),
            _culprit(bound, spoken, onset.row, at.row),
            onset,
            at,
        )

    def snapshot(self) -> AdvisoryState:
        """Return the state."""
        return AdvisoryState([one.snapshot() for one in self._followed], self.incidents)

    def restore(self, state: AdvisoryState) -> None:
        """Become what gave the snapshot."""
        self.incidents = state.incidents
        for one, standing in zip(self._followed, state.standings, strict=True):
            one.restore(standing)


class _Followed:
    """One detector with its bank."""

    def __init__(self, place: int, bound: BoundDetector) -> None:
        self.bound = bound
        self._place = place
        self._bank: Bank = bound.named.make()
        self._quiet, self._speaks = 0, False
        self.fault = ""

    def follow(self, values: FloatArray, first_row: int) -> Iterator[Spoken]:
        """Fold values; yield the detections, and where the detector has kept quiet for long after one.

        A detector that fails gives up, and everything else goes on.
        """
        if self.fault:
            return
        rows = np.flatnonzero(np.isfinite(values[:, 0]))
        try:
            found = self._bank.update(values)
        except _FAULTS as exc:
            self.fault = type(exc).__name__  # its text may differ from process to process
            return
        begun = -self._quiet  # place among the rows with a value, of the first after the newest detection
        for i, at in enumerate(np.searchsorted(rows, found.row).tolist()):
            yield from self._silence(rows[:at], begun, first_row)
            yield Spoken(first_row + int(found.row[i]), self._place, int(found.events[i]), float(found.mean[i]))
            begun, self._speaks = at + 1, True
        yield from self._silence(rows, begun, first_row)
        self._quiet = min(len(rows) - begun, QUIET)

    def _silence(self, rows: IntArray, begun: int, first_row: int) -> Iterator[Spoken]:
        last = begun + QUIET - 1
        if self._speaks and last < len(rows):
            self._speaks = False
            yield Spoken(first_row + int(rows[last]), self._place, 0, 0.0)

    def snapshot(self) -> Standing:
        return Standing(save(self._bank), self._quiet, self._speaks, self.fault)

    def restore(self, standing: Standing) -> None:
        self._bank = load(type(self._bank), standing.bank)
        self._quiet, self._speaks, self.fault = standing.quiet, standing.speaks, standing.fault


def _in_order(spoken: Iterable[Iterable[Spoken]]) -> list[Spoken]:
    """Return what detectors said by row; at one row, in the order of the configuration."""
    return sorted((one for of_one in spoken for one in of_one), key=lambda one: one.row)


def _at(incident_id: Callable[[str, int], str], row: int, family: str) -> str:
    return incident_id(family, row)


def _culprit(bound: BoundDetector, spoken: Spoken, onset: int, row: int) -> Culprit:
    return since_onset(
        bound.spec.signal,
        f"{ADVISORY}:{bound.spec.name}",
        bound.statistic,
        value=spoken.mean,
        threshold=bound.reference,
        rows=spoken.events,
        onset=onset,
        row=row,
    )
