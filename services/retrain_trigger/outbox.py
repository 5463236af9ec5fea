"""Requests on their way: who is due, how long to wait after a failure, and when to give up."""

from __future__ import annotations

from dataclasses import dataclass

from shared.events.retraining import Retraining

MAX_ATTEMPTS = 6
FIRST_WAIT_SECONDS = 2.0
WAIT_FACTOR = 4.0  # 2, 8, 32, 128, 512 s: a receiver may be away for eleven minutes


@dataclass(slots=True)
class Delivery:
    """One request that has no answer yet; `due` is monotonic seconds."""

    entry: Retraining
    due: float
    attempts: int = 0


class Outbox:
    """Deliveries by effect id. One model's dead receiver delays its own requests only."""

    def __init__(self) -> None:
        self._waiting: dict[str, Delivery] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: Retraining, now: float) -> None:
        """Take a request that is due at once; one that is waiting already stays as it is."""
        self._waiting.setdefault(entry.effect_id, Delivery(entry, now))

    def next_due(self, now: float) -> Delivery | None:
        """Return the delivery that has been due longest, counted as attempted, or None."""
        due = [d for d in self._waiting.values() if d.due <= now]
        if not due:
            return None
        delivery = min(due, key=lambda d: d.due)
        delivery.attempts += 1
        return delivery

    def postpone(self, delivery: Delivery, now: float, after: float | None) -> bool:
        """Wait for the next attempt, at least `after` seconds. Return False when there is none left."""
        if delivery.attempts >= MAX_ATTEMPTS:
            return False
        backoff = FIRST_WAIT_SECONDS * WAIT_FACTOR ** (delivery.attempts - 1)
        delivery.due = now + max(backoff, after or 0.0)
        return True

    def remove(self, delivery: Delivery) -> None:
        """Forget a request that has its answer."""
        del self._waiting[delivery.entry.effect_id]

    def clear(self) -> None:
        """Forget everything: the ledger has it."""
        self._waiting.clear()
