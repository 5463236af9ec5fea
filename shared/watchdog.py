"""`watchdog:` in `driftline.yaml`: how long a model may be silent. What is not said is learned from its traffic."""

from __future__ import annotations

import msgspec

from shared.durations import parse_duration
from shared.errors import ConfigurationError


class WatchdogSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How long no predictions or no labels may come, in log time, before an incident tells of it."""

    no_predictions: str | None = None
    no_labels: str | None = None

    @property
    def no_predictions_ms(self) -> int | None:
        """Return the limit; None: what is usual decides."""
        return None if self.no_predictions is None else parse_duration(self.no_predictions)

    @property
    def no_labels_ms(self) -> int | None:
        """Return the limit; None: what is usual decides."""
        return None if self.no_labels is None else parse_duration(self.no_labels)


def check_watchdog(path: str, spec: WatchdogSpec) -> None:
    """Refuse what is no duration.

    Raises:
        ConfigurationError: naming the path of the mistake.
    """
    for name in spec.__struct_fields__:
        text = getattr(spec, name)
        if text is not None:
            try:
                parse_duration(text)
            except ValueError as exc:
                raise ConfigurationError(f"{path}.{name}", str(exc)) from exc
