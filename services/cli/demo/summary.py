"""What the demo says at its end: the books of every model, the incidents, the retrainings, and where things are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from services.cli.demo.account import Account
from services.cli.demo.findings import Findings, IncidentLine
from services.cli.demo.naive_table import Comparison
from services.cli.verify.report import Outcome, Report
from shared.durations import format_duration
from shared.events.block import BlockKind
from shared.events.retraining import RetrainingState
from shared.topics import Topics


class ModelSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One model."""

    stream_days: float
    predictions: dict[str, int]
    labels: dict[str, int]
    alerts: dict[str, int]  # by event
    pages: int
    incidents: list[IncidentLine]
    retrainings: dict[str, int]  # by state


class Chaos(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to the pipeline while it ran, and what is proved of it since."""

    blows: list[str]  # in order
    copies: int  # records of the observations that were written again, which receivers drop
    verified: Outcome
    differences: list[str]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """`summary.json`."""

    balanced: bool
    differences: list[str]
    seconds: dict[str, float]  # wall time: start, pipeline, total
    models: dict[str, ModelSummary]
    dead_letters: dict[str, int]  # by reason
    retrainings_accepted: int  # different ones, as the receiver counted them
    data: str
    naive_rules: Comparison | None  # null unless it was asked for
    chaos: Chaos | None  # the same


def summarise(
    accounts: Mapping[str, Account],
    findings: Findings,
    *,
    stream_days: Mapping[str, float],
    seconds: Mapping[str, float],
    retrainings_accepted: int,
    data: str,
    naive_rules: Comparison | None = None,
    chaos: Chaos | None = None,
) -> Summary:
    """Return the summary of a finished run."""
    differences = [f"{model}: {text}" for model, account in accounts.items() for text in account.differences()]
    differences += [f"the alert {identity} came again and said something else" for identity in findings.changed]
    reasons: Counter[str] = Counter()
    for (_, _, reason), count in findings.dead_letters.items():
        reasons[reason] += count
    return Summary(
        balanced=not differences,
        differences=differences,
        seconds={name: round(value, 1) for name, value in seconds.items()},
        models={
            model: ModelSummary(
                stream_days=round(stream_days[model], 1),
                predictions=msgspec.structs.asdict(account.predictions),
                labels=msgspec.structs.asdict(account.labels),
                alerts=dict(findings.alerts.get(model, {})),
                pages=len(findings.pages.get(model, [])),
                incidents=[line for line in findings.incidents.values() if line.model == model],
                retrainings={
                    state: count for state in RetrainingState if (count := findings.retrainings_in(model, state))
                },
            )
            for model, account in accounts.items()
        },
        dead_letters=dict(reasons),
        retrainings_accepted=retrainings_accepted,
        data=data,
        naive_rules=naive_rules,
        chaos=chaos,
    )


def chaos_of(blows: Sequence[str], report: Report) -> Chaos:
    """Return what blows have left behind, as a verification found it."""
    found = [f"{difference.at}: {difference.text}" for proof in report.proofs for difference in proof.differences]
    copies = sum(proof.counts.get("copies", 0) for proof in report.proofs)
    return Chaos(blows=list(blows), copies=copies, verified=report.outcome, differences=found)


def enter_read_again(accounts: Mapping[str, Account], read_again: Mapping[str, Mapping[BlockKind, int]]) -> None:
    """Enter the events that consumers read more than once, of which the joiner sees duplicates."""
    for model, account in accounts.items():
        account.predictions.read_again = read_again[model].get(BlockKind.PREDICTION, 0)
        account.labels.read_again = read_again[model].get(BlockKind.LABEL, 0)


def close_books(accounts: Mapping[str, Account], findings: Findings, topics: Topics) -> None:
    """Enter the dead letters, which the joiner never sees."""
    for model, account in accounts.items():
        account.predictions.dead_lettered = findings.dead_lettered(model, topics.predictions)
        account.labels.dead_lettered = findings.dead_lettered(model, topics.ground_truth)


def lines(summary: Summary) -> Iterator[str]:
    """Yield the summary for people."""
    for name, model in summary.models.items():
        yield ""
        yield f"{name}: {model.stream_days:.0f} days in {summary.seconds['pipeline']:.0f} s"
        yield f"  predictions  {_book(model.predictions)}"
        yield f"  labels       {_book(model.labels)}"
        yield f"  pages        {model.pages}"
        for incident in model.incidents:
            yield f"  {incident.severity:<8} {incident.kind} since {incident.onset[:16]}Z ({incident.state})"
            if incident.culprits:
                yield f"           {', '.join(incident.culprits)}"
        if model.retrainings:
            yield f"  retraining   {', '.join(f'{count} {state}' for state, count in model.retrainings.items())}"
    yield ""
    yield f"retrainings accepted by the webhook: {summary.retrainings_accepted}"
    if summary.dead_letters:
        yield f"dead letters: {', '.join(f'{count} {reason}' for reason, count in summary.dead_letters.items())}"
    if summary.balanced:
        yield "every event is accounted for: produced = observed + duplicates + conflicts + dead letters"
    if summary.chaos is not None:
        yield (
            f"chaos: {len(summary.chaos.blows)} blows, {summary.chaos.copies:,} copies dropped,"
            f" verify says {summary.chaos.verified}"
        )
        yield from (f"DIFFERENT: {text}" for text in summary.chaos.differences)
    for difference in summary.differences:
        yield f"NOT ACCOUNTED FOR: {difference}"
    total = format_duration(summary.seconds["total"] * 1000)
    yield f"{total} in all; summary.json, stack.json and logs are in {summary.data}"


def _book(counts: Mapping[str, int]) -> str:
    """Return the counts that matter: what was produced, what came of most, and every fate that is not zero."""
    produced, usual, *others = counts.items()
    shown = [produced, usual, *(pair for pair in others if pair[1])]
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in shown)
