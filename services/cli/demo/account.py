"""Whether every event is accounted for: what was produced is what came out, by name of its fate."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from services.joiner.meta import Counters


class Predictions(msgspec.Struct, kw_only=True):
    """What became of a model's prediction events."""

    produced: int = 0
    observed: int = 0
    duplicates: int = 0
    conflicts: int = 0
    dropped: int = 0
    dead_lettered: int = 0
    read_again: int = 0  # by a consumer that was killed before it could say that it had read them; duplicates, too

    @property
    def accounted(self) -> int:
        """Return how many have a known fate."""
        fates = self.observed + self.duplicates + self.conflicts + self.dropped + self.dead_lettered
        return fates - self.read_again


class Labels(msgspec.Struct, kw_only=True):
    """What became of a model's label events. Waiting: no prediction of that id has come yet."""

    produced: int = 0
    joined: int = 0
    corrections: int = 0
    duplicates: int = 0
    conflicts: int = 0
    waiting: int = 0
    dead_lettered: int = 0
    read_again: int = 0  # as of predictions

    @property
    def accounted(self) -> int:
        """Return how many have a known fate."""
        fates = self.joined + self.corrections + self.duplicates + self.conflicts + self.waiting + self.dead_lettered
        return fates - self.read_again


class Account(msgspec.Struct, kw_only=True):
    """One model's books."""

    predictions: Predictions = msgspec.field(default_factory=Predictions)
    labels: Labels = msgspec.field(default_factory=Labels)

    def add(self, counters: Counters) -> None:
        """Add what one shard of the joiner counted."""
        self.predictions.observed += counters.served
        self.predictions.duplicates += counters.prediction_duplicates
        self.predictions.conflicts += counters.prediction_conflicts
        self.predictions.dropped += counters.predictions_dropped
        self.labels.joined += counters.labels_joined
        self.labels.waiting += counters.unmatched_label + counters.labels_dropped
        self.labels.corrections += counters.corrections
        self.labels.duplicates += counters.label_duplicates
        self.labels.conflicts += counters.label_conflicts

    def differences(self) -> Iterable[str]:
        """Yield a sentence for each kind of event whose books do not balance."""
        for name, book in (("predictions", self.predictions), ("labels", self.labels)):
            missing = book.produced - book.accounted
            if missing:
                fate = "without a known fate" if missing > 0 else "more than were produced"
                yield f"{abs(missing)} {name} {fate}: produced {book.produced}, accounted for {book.accounted}"
