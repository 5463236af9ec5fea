"""The demo while it runs: a table for a person, a plain line now and then for a log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.console import Group
from rich.table import Table
from rich.text import Text

from services.cli.demo.account import Account
from services.cli.demo.findings import IncidentLine

MAX_INCIDENTS = 12
COLOURS = {"critical": "bold red", "warning": "yellow", "info": "cyan"}


@dataclass(frozen=True, slots=True)
class Sight:
    """One look at the pipeline."""

    seconds: float  # since producing began
    stream_days: dict[str, float]  # by model, of what was produced so far
    accounts: dict[str, Account]
    behind: dict[str, int]  # by stage: records of its log that it has not done
    incidents: list[IncidentLine] = field(default_factory=list)
    retrainings_accepted: int = 0


def table(sight: Sight) -> Group:
    """Return what a terminal shows."""
    counts = Table(box=None, pad_edge=False)
    for heading in ("", "stream", "predictions", "observed", "labels", "joined", "waiting"):
        counts.add_column(heading, justify="left" if not heading else "right")
    for model, account in sight.accounts.items():
        predictions, labels = account.predictions, account.labels
        numbers = (predictions.produced, predictions.observed, labels.produced, labels.joined, labels.waiting)
        counts.add_row(model, f"{sight.stream_days[model]:.0f} d", *(f"{number:,}" for number in numbers))
    lag = "  ".join(f"{stage} {count:,}" for stage, count in sight.behind.items())
    shown = [
        Text(f"{incident.severity:<8} {incident_text(incident)}", style=COLOURS.get(incident.severity, ""))
        for incident in sight.incidents[-MAX_INCIDENTS:]
    ]
    return Group(
        counts,
        Text(
            f"{sight.seconds:.0f} s   behind: {lag}   retrainings accepted: {sight.retrainings_accepted}", style="dim"
        ),
        *shown,
    )


def line(sight: Sight) -> str:
    """Return the same in one line."""
    models = "; ".join(
        f"{model} {sight.stream_days[model]:.0f} d, {account.predictions.observed:,} observed,"
        f" {account.labels.joined:,} joined"
        for model, account in sight.accounts.items()
    )
    return f"{sight.seconds:5.0f} s  {models}; {sum(sight.behind.values()):,} records behind"


def news(before: Sight | None, now: Sight) -> Iterator[str]:
    """Yield a line for each incident that is new or changed since `before`."""
    known = {} if before is None else {incident.incident_id: incident for incident in before.incidents}
    for incident in now.incidents:
        last = known.get(incident.incident_id)
        if last is None or (last.event, last.severity) != (incident.event, incident.severity):
            yield f"{incident.severity} {incident_text(incident)}"


def incident_text(incident: IncidentLine) -> str:
    """Return which model, what, since when, and who did it."""
    culprits = f": {', '.join(incident.culprits)}" if incident.culprits else ""
    return f"{incident.model} {incident.kind} {incident.event}, since {incident.onset[:10]}{culprits}"
