"""Who is told of what, by the `notify:` section."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.events.alert import Incident, Severity
from shared.events.comparison import Comparison
from shared.notify import NotifyRoute


def severity_of(told: Incident | Comparison) -> Severity:
    """Return how much it matters; a verdict on a challenger wakes nobody."""
    return told.severity if isinstance(told, Incident) else Severity.INFO


class Routes:
    """All routes that match apply. A channel that several name is told once; the shortest `every` is its own."""

    def __init__(self, routes: Sequence[NotifyRoute]) -> None:
        self._routes = [
            (route.match.models, route.match.severities, route.channels, route.every_ms) for route in routes
        ]
        self._found: dict[tuple[str, Severity], Mapping[str, int | None]] = {}

    @property
    def repeat(self) -> bool:
        """Return whether any route tells again."""
        return any(every is not None for _, _, _, every in self._routes)

    def matching(self, model: str, severity: Severity) -> Mapping[str, int | None]:
        """Return the channels that are told of such a thing, in order, and how often again (ms; None: never)."""
        key = (model, severity)
        if key not in self._found:
            self._found[key] = self._find(model, severity)
        return self._found[key]

    def _find(self, model: str, severity: Severity) -> dict[str, int | None]:
        found: dict[str, int | None] = {}
        for models, severities, channels, every in self._routes:
            if (models is None or model in models) and (severities is None or severity in severities):
                for name in channels:
                    known = [ms for ms in (found.get(name), every) if ms is not None]
                    found[name] = min(known, default=None)
        return found
