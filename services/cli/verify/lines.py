"""A verification for people: tables, then what differs, then what is not covered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.cli.tables import Listing
from services.cli.verify.number import Number
from services.cli.verify.report import Outcome, Proof, Report
from services.cli.verify.told import Recounted

_VERDICTS = {
    Outcome.CLEAN: "everything compared is as the log makes it",
    Outcome.DIFFERENT: "what is there is not what the log makes it",
    Outcome.UNDECIDED: "nothing compared differs, but not every check could be made",
}


def table_of(report: Report) -> Listing:
    """Return a row for each proof."""
    head = ("check", "log", "from", "to", "compared", "different")
    rows = [
        (proof.check, proof.log, f"{proof.start:,}", f"{proof.end:,}", _counts(proof), f"{proof.different:,}")
        for proof in report.proofs
    ]
    return Listing(head, rows)


def texts_of(report: Report) -> Iterator[str]:
    """Yield what the table does not say, the verdict last."""
    for proof in report.proofs:
        for difference in proof.differences:
            yield f"differs: {proof.check}: {difference.at}: {difference.text}"
        if proof.different > len(proof.differences):
            yield f"differs: {proof.check}: {proof.log}: and {proof.different - len(proof.differences):,} more"
    for proof in report.proofs:
        for why in proof.not_covered:
            yield f"not covered: {proof.check} of {proof.log}: {why}"
    yield _VERDICTS[report.outcome]


def _counts(proof: Proof) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in proof.counts.items()) or "nothing"


def table_of_numbers(event: Recounted) -> Listing:
    """Return a row for each number of one event."""
    rows = [
        (number.of or "the incident", number.name, _figure(number.said), _recomputed(number), _verdict(number))
        for number in event.numbers
    ]
    return Listing(("of", "number", "said", "recomputed", ""), rows)


def texts_of_numbers(events: Sequence[Recounted]) -> Iterator[str]:
    """Yield the first difference, or what was found where there is none."""
    differing = [(event, number) for event in events for number in event.numbers if number.differs]
    if differing:
        event, number = differing[0]
        where = f"{number.of}: " if number.of else ""
        yield f"{event.at}: {where}{number.name} is {_figure(number.said)}, not {_figure(number.recomputed)}"
        return
    numbers = [number for event in events for number in event.numbers]
    known = sum(not number.needs for number in numbers)
    yield f"{known:,} of {len(numbers):,} numbers follow from the record, and are as it says"
    if known < len(numbers):
        yield "the others need the log that they were made from: `driftline verify` folds it"


def _figure(value: float | None) -> str:
    return "none" if value is None else f"{value:.10g}"


def _recomputed(number: Number) -> str:
    return _figure(number.recomputed) if not number.needs else f"needs {number.needs}"


def _verdict(number: Number) -> str:
    return "differs" if number.differs else "equal" if not number.needs else ""
