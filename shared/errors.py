"""What can go wrong, by what the loop does about it.

DriftlineError
├── Malformed           the record is at fault: dead-letter it and go on
├── Busy                we are full: keep the record, pause, keep polling
├── Unavailable         the other side is away: back off, same record again
│   ├── Denied          it answers, and refuses us: as above, until someone has mended it
│   └── Undelivered     a write was not acknowledged: start over from the stored position
├── LogIdentity         a log is not the one the state was folded from: stop
├── LogTime             a log's clock leaps ahead: stop until someone confirms it
├── Corrupt             bytes that we wrote do not read back: stop
├── Newer               bytes that a later release wrote: stop, and start that one
└── ConfigurationError  refuse to start; names the path of the mistake

Anything else is a bug and stops the process.
"""

from __future__ import annotations


class DriftlineError(Exception):
    """Root of every error that a loop knows how to answer."""


class Malformed(DriftlineError):
    """A record that can never be used; `reason` is one of the documented dead-letter codes."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else reason)
        self.reason = reason
        self.detail = detail


class Busy(DriftlineError):
    """A bound is reached; the record is kept and tried again."""


class Unavailable(DriftlineError):
    """A dependency does not answer; `retry_after` is in seconds."""

    def __init__(self, what: str, retry_after: float = 1.0) -> None:
        super().__init__(what)
        self.retry_after = retry_after


class Denied(Unavailable):
    """The other side refuses us, or we refuse it: a password, a certificate, a permission. Says what mends it."""


class Undelivered(Unavailable):
    """A write was refused or not acknowledged in time; what follows it must not go out, so the process ends."""


class LogIdentity(DriftlineError):
    """The log was recreated, truncated or trimmed below the stored position."""


class LogTime(DriftlineError):
    """A record's log time is further ahead of the one before than any ordinary gap."""


class Corrupt(DriftlineError):
    """A checksum, header or version of our own bytes is wrong."""


class Newer(DriftlineError):
    """Our own bytes, of a version that this release does not know yet."""


class ConfigurationError(DriftlineError):
    """A mistake in `driftline.yaml` or the environment, with its path."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.message = message
