"""What `driftline check` and `baseline build` tell of rules and named detectors: their cost on the reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from services.detector.advisory.binding import bind_detectors
from services.detector.advisory.rehearsal import DetectorRehearsal, rehearse_detectors
from services.detector.baseline import Baseline
from services.detector.degradation.rehearsal import rehearse_degradation
from services.detector.reference_table import ReferenceTable
from services.detector.rules.binding import bind
from services.detector.rules.rehearsal import Rehearsal, rehearse
from shared.monitors import ModelSpec


class Rehearsals(NamedTuple):
    """What people have brought, tried on the reference; in the order of the configuration."""

    rules: Sequence[Rehearsal] = ()  # about columns, then about metrics
    detectors: Sequence[DetectorRehearsal] = ()


NOTHING_TRIED = Rehearsals()


def rehearsals(model: str, spec: ModelSpec, baseline: Baseline, reference: ReferenceTable) -> Rehearsals:
    """Return what a model's rules and named detectors would have done on the reference that the baseline is of.

    Raises:
        ConfigurationError: one names what the baseline does not have.
    """
    return Rehearsals(
        [*rehearse(bind(model, spec, baseline), baseline, reference), *rehearse_degradation(spec, baseline, reference)],
        rehearse_detectors(bind_detectors(model, spec, baseline), baseline, reference),
    )


def sentences(found: Iterable[Rehearsal | DetectorRehearsal]) -> Iterator[str]:
    """Yield a line for each rule or named detector, in their order."""
    for one in found:
        if isinstance(one, Rehearsal):
            yield f"rule {one.rule}: {_of_rule(one)}"
        else:
            yield f"detector {one.detector}: {_of_detector(one)}"


def _of_rule(found: Rehearsal) -> str:
    if not found.is_held:
        return "the reference does not hold the segment; it is watched once predictions bring it"
    if found.windows == 0:
        return f"the reference has no whole {found.looks_at} to try it on"
    known = f"of {_counted(found.windows, found.looks_at)}"
    if found.fired == 0:
        return f"never on the reference (met in {found.met:,} {known})"
    return f"{_fired(found)} (met in {found.met:,} {known})"


def _of_detector(found: DetectorRehearsal) -> str:
    known = f"({_counted(found.values, 'value')})"
    return f"never on the reference {known}" if found.fired == 0 else f"{_fired(found)} {known}"


def _fired(found: Rehearsal | DetectorRehearsal) -> str:
    often = "" if found.fired_a_month is None else f"{_rounded(found.fired_a_month)} a month; "
    fired = f"{_counted(found.fired, 'time')} in {_counted(found.incidents, 'incident')}"
    return f"{often}fired {fired} on the reference"


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
