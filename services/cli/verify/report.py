"""What a verification found: what is proved of every log, from where to where, what differs, what is not covered.

Offsets are those of the log that is folded; the first is included, the last is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import msgspec

from shared.log import TopicPartition

MOST_DIFFERENCES = 20  # of one proof that are told; all of them are counted


class Check(StrEnum):
    """What is verified, in order of flow."""

    INPUTS = "inputs"  # every event is in the halves or in the dead letters, as its normalisation and its reason say
    OBSERVATIONS = "observations"  # they are the fold of the halves
    JOINS = "joins"  # each prediction met at most one label, and the joiner's counters balance
    VIEW = "view"  # the joiner's state is the fold of the halves
    ALERTS = "alerts"  # they are the fold of the observations
    CHECKPOINT = "checkpoint"  # the detector's state is the fold of the observations
    LOGGED_CHECKPOINT = "logged_checkpoint"  # so is what its topic holds of it
    RETRAINING = "retraining"  # one decision for each alert that asks for one, one start for each incident


class Difference(msgspec.Struct, frozen=True):
    """One thing that is not what the log makes of it."""

    at: str  # the record, id or key that differs
    text: str


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """One check of one log."""

    check: Check
    log: str
    start: int
    end: int
    counts: dict[str, int]  # of what was compared
    different: int
    differences: list[Difference]  # the first of them
    not_covered: list[str]  # why not all of the log is proved
    is_decided: bool  # False: nothing could be compared, although there is something


class Outcome(StrEnum):
    """What a whole verification says."""

    CLEAN = "clean"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


class Report(msgspec.Struct, frozen=True):
    """All proofs."""

    outcome: Outcome
    proofs: list[Proof]

    @classmethod
    def of(cls, proofs: Sequence[Proof]) -> Report:
        """Return what proofs say together: a difference counts more than a check that could not be made."""
        if any(proof.different for proof in proofs):
            return cls(Outcome.DIFFERENT, list(proofs))
        decided = all(proof.is_decided for proof in proofs)
        return cls(Outcome.CLEAN if decided else Outcome.UNDECIDED, list(proofs))


class Evidence:
    """A proof in the making."""

    def __init__(self, check: Check, source: TopicPartition, start: int = 0, end: int = 0) -> None:
        self.start, self.end = start, end
        self.is_decided = True
        self.counts: dict[str, int] = {}
        self._check, self._source = check, source
        self._different = 0
        self._differences: list[Difference] = []
        self._not_covered: list[str] = []

    def count(self, what: str, times: int = 1) -> None:
        """Count something that was compared."""
        if times:
            self.counts[what] = self.counts.get(what, 0) + times

    def differs(self, at: str, text: str) -> None:
        """Take a difference."""
        self._different += 1
        if len(self._differences) < MOST_DIFFERENCES:
            self._differences.append(Difference(at, text))

    def leaves_out(self, why: str) -> None:
        """Take what is not covered."""
        if why not in self._not_covered:
            self._not_covered.append(why)

    def cannot_decide(self, why: str) -> None:
        """Take that nothing of this could be compared."""
        self.is_decided = False
        self.leaves_out(why)

    def proof(self) -> Proof:
        """Return the proof."""
        return Proof(
            check=self._check,
            log=named(self._source),
            start=self.start,
            end=max(self.start, self.end),
            counts=self.counts,
            different=self._different,
            differences=self._differences,
            not_covered=self._not_covered,
            is_decided=self.is_decided or bool(self._different),
        )


def named(source: TopicPartition, offset: int | None = None) -> str:
    """Return how people call a log, or a record of it."""
    log = f"{source.topic}-{source.partition}"
    return log if offset is None else f"{log}@{offset}"
