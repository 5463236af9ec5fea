"""`driftline.yaml` with the folder it stands in: references are relative to the file that names them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from shared.errors import ConfigurationError
from shared.monitors import ModelSpec, Monitors, read_monitors
from shared.topics import Topics, TopicSpec


@dataclass(frozen=True, slots=True)
class Configuration:
    """One file, valid."""

    path: Path
    monitors: Monitors

    def reference(self, spec: ModelSpec) -> Path:
        """Return the file of a model's reference."""
        return self.path.parent / spec.reference_file

    @property
    def longest_horizon_ms(self) -> int:
        """Return the horizon that retention follows."""
        return max(spec.horizon_ms for spec in self.monitors.models.values())

    def topics(self, topics: Topics) -> list[TopicSpec]:
        """Return every topic of an installation, kept for as long as the models need."""
        longest_warm_up_ms = max(spec.warm_up_ms or 0 for spec in self.monitors.models.values())
        return topics.specs(self.longest_horizon_ms, longest_warm_up_ms)

    def model(self, name: str) -> ModelSpec:
        """Return one model's part.

        Raises:
            ConfigurationError: there is no such model.
        """
        try:
            return self.monitors.models[name]
        except KeyError:
            known = ", ".join(self.monitors.models)
            raise ConfigurationError(f"{self.path}: models.{name}", f"no such model; there is {known}") from None


def read_configuration(path: Path) -> Configuration:
    """Return the configuration in `path`.

    Raises:
        ConfigurationError: naming the file and the path of the mistake in it.
    """
    try:
        return Configuration(path, read_monitors(path))
    except ConfigurationError as exc:
        where = exc.path if exc.path == str(path) else f"{path}: {exc.path}"
        raise ConfigurationError(where, exc.message) from exc
