"""What is told, as one line that a person understands at night: what moved, by how much, since when, what to do.

Names come from outside, so they are cut to 80 characters and hold no control characters and no angle brackets: whatever
shows the line, chat, mail or a page, takes no name for a mention, a link or a tag. No text is ever a template.
"""

from __future__ import annotations

from shared.events.alert import Culprit, Incident, IncidentEvent
from shared.events.comparison import Comparison, SegmentComparison, Verdict

MAX_CULPRITS = 3
MAX_NAME_CHARS = 80

_BRACKETS = str.maketrans("<>", "\u2039\u203a")
_VERBS = {
    IncidentEvent.OPENED: "opened",
    IncidentEvent.ESCALATED: "escalated",
    IncidentEvent.UPDATED: "updated",
    IncidentEvent.RESOLVED: "resolved",
    IncidentEvent.ACCEPTED: "accepted as the new normal",
    IncidentEvent.RETRACTED: "retracted",
}


_STANDS = {
    Verdict.BETTER: "is better than",
    Verdict.WORSE: "is worse than",
    Verdict.UNDECIDED: "is neither surely better nor surely worse than",
}


def render(event: IncidentEvent, told: Incident | Comparison, repeat: int = 0) -> str:
    """Return the line; a repeat says that the incident is still open."""
    return _incident(event, told, repeat) if isinstance(told, Incident) else _verdict(told)


def _incident(event: IncidentEvent, incident: Incident, repeat: int) -> str:
    kind = incident.kind.replace("_", " ")
    also = [other.replace("_", " ") for other in incident.kinds if other is not incident.kind]
    with_others = f" (with {', '.join(also)})" if also else ""
    parts = [
        f"[{incident.severity}] {name(incident.model)} {name(incident.model_version)}: "
        f"{kind}{with_others} {'is still open' if repeat else _VERBS[event]}{_reason(incident)}",
        *_culprits(incident.culprits, "columns"),
        *_culprits(incident.inside_segments, "columns inside segments"),
        f"since row {incident.onset.row} ({name(incident.onset.ts)}), found at row {incident.detected.row}",
        f"{incident.rows_affected} rows affected",
        f"do: {incident.recommended_action.replace('_', ' ')}",
    ]
    return "; ".join(parts)


def _verdict(said: Comparison) -> str:
    parts = [
        f"[info] {name(said.model)} {name(said.model_version)} {_STANDS[said.verdict]} {name(said.champion)}, "
        "the version that serves",
        f"over {said.pairs} labels its mean {_gap(said, said)}",
    ]
    parts += _segments(said)
    if said.verdict is Verdict.UNDECIDED:
        further = said.labels_needed
        parts.append("the gap is within the margin" if further is None else f"sure after some {further} more labels")
    parts.append(f"do: {said.advice.replace('_', ' ')}")
    return "; ".join(parts)


def _segments(said: Comparison) -> list[str]:
    """Return the segments that are at odds with the verdict."""
    against = [one for one in said.segments if one.verdict is not said.verdict]
    parts = [
        f"but {one.verdict} where {name(one.segment)}: over {one.pairs} labels its mean {_gap(said, one)}"
        for one in against[:MAX_CULPRITS]
    ]
    return parts + [f"and {len(against) - MAX_CULPRITS} more segments"] * (len(against) > MAX_CULPRITS)


def _gap(said: Comparison, of: Comparison | SegmentComparison) -> str:
    """Return by how much the challenger's loss is smaller or larger, in units of the metric, with the interval."""
    ends = (of.estimate, of.estimate_low, of.estimate_high)
    value, low, high = (end * said.loss_bound for end in ends)
    if value < 0:
        value, low, high, word = -value, -high, -low, "larger"
    else:
        word = "smaller"
    return f"{said.metric.replace('_', ' ')} is {word} by {value:.3g} (interval {low:.3g} to {high:.3g})"


def _reason(incident: Incident) -> str:
    return "" if incident.reason is None else f": {name(incident.reason)}"


def name(text: str) -> str:
    """Return a name from outside as it may stand in a line."""
    shown = "".join(c if c.isprintable() else "\ufffd" for c in text).translate(_BRACKETS)
    return shown if len(shown) <= MAX_NAME_CHARS else f"{shown[: MAX_NAME_CHARS - 1]}…"


def _culprits(culprits: list[Culprit], more: str) -> list[str]:
    parts = [_culprit(culprit) for culprit in culprits[:MAX_CULPRITS]]
    if len(culprits) > MAX_CULPRITS:
        parts.append(f"and {len(culprits) - MAX_CULPRITS} more {more}")
    return parts


def _culprit(culprit: Culprit) -> str:
    where = "" if culprit.segment == "all" else f" where {name(culprit.segment)}"
    noise = f"noise floor {culprit.noise_floor:.3g}, " if culprit.noise_floor else ""
    return (
        f"{name(culprit.feature)}{where}: {name(culprit.statistic)} {culprit.value:.3g} "
        f"({noise}threshold {culprit.threshold:.3g}, {culprit.window_rows} rows)"
    )
