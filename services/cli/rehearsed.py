"""What `driftline check` and `baseline build` tell a person of rules: what they would have cost on the reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from services.detector.rules.rehearsal import Rehearsal


def sentences(rehearsals: Iterable[Rehearsal]) -> Iterator[str]:
    """Yield a line for each rule, in their order."""
    for rehearsal in rehearsals:
        yield f"rule {rehearsal.rule}: {_cost(rehearsal)}"


def _cost(found: Rehearsal) -> str:
    if not found.is_held:
        return "the reference does not hold the segment; it is watched once predictions bring it"
    if found.windows == 0:
        return "the reference has no whole window to try it on"
    known = f"of {_counted(found.windows, 'window')}"
    if found.fired == 0:
        return f"never on the reference (met in {found.met:,} {known})"
    often = "" if found.fired_a_month is None else f"{_rounded(found.fired_a_month)} a month; "
    fired = f"{_counted(found.fired, 'time')} in {_counted(found.incidents, 'incident')}"
    return f"{often}fired {fired} on the reference (met in {found.met:,} {known})"


def _rounded(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
