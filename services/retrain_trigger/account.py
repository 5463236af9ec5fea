"""What a retrain trigger counts of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from services.retrain_trigger.ledger import KEPT, Ledger
from services.retrain_trigger.outbox import Outbox
from shared.events.dead_letter import REASONS
from shared.events.retraining import RetrainingState
from shared.measures import Measure, bounded, number

WRITTEN = (RetrainingState.REQUESTED, RetrainingState.HELD, RetrainingState.ACCEPTED, RetrainingState.FAILED)
REFUSED, LATER = "refused", "later"


@dataclass(slots=True)
class Account:
    """Since the process started."""

    written: Counter[str] = field(default_factory=Counter)  # by state
    letters: Counter[str] = field(default_factory=Counter)  # by reason
    attempts: int = 0
    failures: Counter[str] = field(default_factory=Counter)  # REFUSED or LATER
    given_up: int = 0

    def measures(self, ledger: Ledger, outbox: Outbox) -> Iterator[Measure]:
        """Yield everything."""
        yield Measure(
            "retrain_decisions_total",
            "Decisions and outcomes written to `retraining`, by state.",
            {(state.value,): self.written[state] for state in WRITTEN},
            ("state",),
        )
        yield number("retrain_attempts_total", "Requests sent, repeated ones included.", self.attempts)
        yield Measure(
            "retrain_failures_total",
            "Attempts that were not accepted, by whether the receiver refused for good.",
            {(kind,): self.failures[kind] for kind in (REFUSED, LATER)},
            ("kind",),
        )
        yield number("retrain_given_up_total", "Requests given up after the last attempt.", self.given_up)
        yield number("retrain_outbox_requests", "Requests that wait for an answer.", len(outbox))
        yield from bounded(
            "retrain_ledger_decisions",
            "Requests or holds kept of one model, of the one with most; older ones are forgotten.",
            {(): ledger.largest_page},
            KEPT,
        )
        yield Measure(
            "dead_letters_total",
            "Records that could not be used, by reason.",
            {(reason,): self.letters[reason] for reason in REASONS},
            ("reason",),
        )
