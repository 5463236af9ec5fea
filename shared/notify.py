"""The `notify:` and `channels:` sections of `driftline.yaml`: who is told of which incidents, where, and how often."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from shared.durations import parse_duration
from shared.errors import ConfigurationError
from shared.events.alert import Severity
from shared.webhooks import WebhookSpec, check_webhook

LOG = "log"  # the channel that every installation has
MAX_CHANNELS, MAX_ROUTES = 16, 256


class NotifyMatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which incidents a route is for; what is not said matches all."""

    severity: Severity | list[Severity] | None = None
    model: str | list[str] | None = None

    @property
    def severities(self) -> frozenset[Severity] | None:
        """Return the severities, or None for all."""
        given = self.severity
        return None if given is None else frozenset([given] if isinstance(given, Severity) else given)

    @property
    def models(self) -> frozenset[str] | None:
        """Return the models, or None for all."""
        return None if self.model is None else frozenset(_names(self.model))


class NotifyRoute(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told of incidents. `every`: how often again, while one is open; not said, it is told once."""

    to: str | list[str]
    match: NotifyMatch = NotifyMatch()
    every: str | None = None

    @property
    def channels(self) -> tuple[str, ...]:
        """Return the names in `to`."""
        return tuple(_names(self.to))

    @property
    def every_ms(self) -> int | None:
        """Return the repeat interval."""
        return None if self.every is None else parse_duration(self.every)


class ChannelSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A way to reach people."""

    webhook: WebhookSpec


def check_notify(
    routes: Sequence[NotifyRoute], channels: Mapping[str, ChannelSpec], models: Mapping[str, object]
) -> None:
    """Return when routes name only what there is.

    Raises:
        ConfigurationError: they do not; names the path of the mistake.
    """
    if len(channels) > MAX_CHANNELS:
        raise ConfigurationError("channels", f"{len(channels)} channels; at most {MAX_CHANNELS}")
    if len(routes) > MAX_ROUTES:
        raise ConfigurationError("notify", f"{len(routes)} routes; at most {MAX_ROUTES}")
    if LOG in channels:
        raise ConfigurationError(f"channels.{LOG}", "the service's own log has this name; choose another")
    for name, channel in channels.items():
        check_webhook(f"channels.{name}.webhook", channel.webhook)
    for number, route in enumerate(routes):
        _check_route(f"notify.{number}", route, channels, models)


def _check_route(
    path: str, route: NotifyRoute, channels: Mapping[str, ChannelSpec], models: Mapping[str, object]
) -> None:
    if not route.channels:
        raise ConfigurationError(f"{path}.to", "name at least one channel")
    for name in route.channels:
        if name != LOG and name not in channels:
            raise ConfigurationError(
                f"{path}.to", f"no channel is named {name!r}; define it in channels, or name {LOG}"
            )
    for key, given in (("severity", route.match.severities), ("model", route.match.models)):
        if given is not None and not given:
            raise ConfigurationError(f"{path}.match.{key}", "an empty list matches nothing")
    for model in sorted(route.match.models or ()):
        if model not in models:
            raise ConfigurationError(f"{path}.match.model", f"no model is named {model!r}")
    try:
        _ = route.every_ms
    except ValueError as exc:
        raise ConfigurationError(f"{path}.every", str(exc)) from exc


def _names(given: str | list[str]) -> list[str]:
    return [given] if isinstance(given, str) else given
