"""`reference:` in `driftline.yaml`: a file, and by choice the days of live traffic that windows are compared with."""

from __future__ import annotations

import msgspec

from shared.durations import UNITS_MS, parse_duration
from shared.errors import ConfigurationError

MAX_DAYS = 400  # that are kept


class ReferenceSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file, and whole days: of a window, the `trailing` days before the last `lag` days."""

    file: str
    trailing: str | None = None
    lag: str | None = None  # none: up to yesterday


class TrailingDays(msgspec.Struct, frozen=True):
    """The days that a window of day t is compared with: from t - lag - days on, before t - lag."""

    days: int
    lag: int

    @property
    def span(self) -> int:
        """Return how many days have to be known."""
        return self.days + self.lag


def trailing_days(path: str, spec: str | ReferenceSpec | None) -> TrailingDays | None:
    """Return the choice that stands in the configuration under `path`; None for the file alone, or no reference.

    Raises:
        ConfigurationError: no whole days, too many of them, or a lag without anything trailing; names its path.
    """
    if spec is None or isinstance(spec, str):
        return None
    if spec.trailing is None:
        if spec.lag is not None:
            raise ConfigurationError(f"{path}.lag", "only trailing days lag behind; give trailing as well")
        return None
    lag = 0 if spec.lag is None else _days(f"{path}.lag", spec.lag)
    found = TrailingDays(_days(f"{path}.trailing", spec.trailing), lag)
    if found.span > MAX_DAYS:
        raise ConfigurationError(f"{path}.trailing", f"{found.span} days with the lag; at most {MAX_DAYS}")
    return found


def _days(path: str, text: str) -> int:
    try:
        ms = parse_duration(text)
    except ValueError as exc:
        raise ConfigurationError(path, str(exc)) from exc
    if ms % UNITS_MS["d"]:
        raise ConfigurationError(path, f"{text!r} is not whole days")
    return ms // UNITS_MS["d"]
