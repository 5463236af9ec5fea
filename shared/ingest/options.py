"""What an operator may choose about the ingest services."""

from __future__ import annotations

from dataclasses import dataclass, field

from shared.durations import parse_duration
from shared.errors import ConfigurationError
from shared.ingest.limit import DeadLetterLimit
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """Defaults are those of production."""

    linger_ms: int = 100  # how long a row waits for others; 0: one block a step
    accept_stale: bool = False  # take records that are older than the model's horizon: backfills
    limit: DeadLetterLimit = field(default_factory=DeadLetterLimit)

    @classmethod
    def of(cls, settings: Settings, *, accept_stale: bool = False) -> IngestOptions:
        """Return the options that the environment asks for.

        Raises:
            ConfigurationError: `DRIFTLINE_BLOCK_LINGER` is not a duration.
        """
        try:
            linger_ms = parse_duration(settings.block_linger)
        except ValueError as exc:
            raise ConfigurationError("DRIFTLINE_BLOCK_LINGER", str(exc)) from exc
        limit = DeadLetterLimit(ratio=settings.dead_letter_ratio, run=settings.dead_letter_run)
        return cls(linger_ms, accept_stale, limit)
