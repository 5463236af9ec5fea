"""The environment: WHERE things are. Every variable starts with `DRIFTLINE_`; an unknown one refuses to start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from shared.errors import ConfigurationError
from shared.services import SERVICES
from shared.topics import Topics

PREFIX = "DRIFTLINE_"

LAST_PORT = 65_535
Port = Annotated[int, Meta(ge=0, le=LAST_PORT)]
Partitions = Annotated[int, Meta(ge=1, le=1_024)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One process's surroundings, named as the variables are, in lower case and without the prefix.

    Some are secret, so the text of one holds none of them.
    """

    bootstrap: str = "127.0.0.1:9092"  # Kafka brokers, host:port[,host:port]
    redis_url: str = "redis://127.0.0.1:6379/0"
    config: str = "driftline.yaml"
    installation: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$(?!\n)")] = "main"
    topic_prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{0,64}$(?!\n)")] = ""
    halves_partitions: Partitions = 4
    observations_partitions: Partitions = 2
    alerts_partitions: Partitions = 2
    input_partitions: Partitions = 4
    id_key: str = ""  # secret; keys the hashes of request ids
    heartbeat: str = "1m"
    block_linger: str = "100ms"
    dead_letter_run: Annotated[int, Meta(ge=1)] = 200  # so many dead letters in a row halt an input log
    dead_letter_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.5  # so does a larger share of the last 1,000
    health_host: str = "127.0.0.1"  # where /livez, /readyz and /metrics are served; 0.0.0.0 in a container
    health_port: Port = 9300  # the first service's; the others follow in order of flow. 0: any free one
    log_level: Annotated[str, Meta(pattern=r"^(debug|info|warning|error)$(?!\n)")] = "info"
    fail: str = ""  # failpoints, tests only: <place>:<exit|stop|raise>@<n>
    cache: str = ""  # where jars and compiled kernels are kept; empty: the user's cache folder

    def __repr__(self) -> str:
        return "Settings(...)"

    @property
    def topics(self) -> Topics:
        """Return the installation's topics."""
        return Topics(
            prefix=self.topic_prefix,
            halves_partitions=self.halves_partitions,
            observations_partitions=self.observations_partitions,
            alerts_partitions=self.alerts_partitions,
            input_partitions=self.input_partitions,
        )

    def group(self, service: str) -> str:
        """Return the consumer group of a service; no other installation on the cluster has it."""
        return f"{self.topic_prefix}driftline-{self.installation}-{service}"

    def health_port_of(self, service: str) -> int:
        """Return where a service serves its health: each has a port of its own; 0 is any free one.

        Raises:
            ConfigurationError: there are not so many ports above `health_port`.
        """
        if not self.health_port:
            return 0
        port = self.health_port + SERVICES.index(service)
        if port > LAST_PORT:
            raise ConfigurationError(f"{PREFIX}HEALTH_PORT", f"{service} would need port {port}; choose a smaller one")
        return port

    def environment(self) -> dict[str, str]:
        """Return the variables that give another process these settings."""
        return {f"{PREFIX}{name.upper()}": str(value) for name, value in msgspec.structs.asdict(self).items()}


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings in `environ`.

    Raises:
        ConfigurationError: an unknown `DRIFTLINE_` variable or a value that does not fit; never repeats a value.
    """
    given = {name[len(PREFIX) :].lower(): text for name, text in environ.items() if name.startswith(PREFIX)}
    known = {field.name for field in msgspec.structs.fields(Settings)}
    for name in given:
        if name not in known:
            raise ConfigurationError(f"{PREFIX}{name.upper()}", "no such setting")
    try:
        return msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as exc:
        message, _, where = str(exc).partition(" - at `$.")
        raise ConfigurationError(f"{PREFIX}{where.rstrip('`').upper()}", message) from exc
