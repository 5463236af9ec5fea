"""The environment: WHERE things are. Every variable starts with `DRIFTLINE_`; an unknown one refuses to start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from shared.access import KafkaAccess, Mechanism, Protocol, RedisAccess, Secret, Tls, without_password
from shared.errors import ConfigurationError
from shared.services import SERVICES
from shared.topics import Topics

PREFIX = "DRIFTLINE_"
HIDDEN = frozenset(
    {"id_key", "checkpoint_key", "kafka_password", "kafka_key_password", "redis_password", "redis_key_password"}
)

LAST_PORT = 65_535
Port = Annotated[int, Meta(ge=0, le=LAST_PORT)]
Partitions = Annotated[int, Meta(ge=1, le=1_024)]


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One process's surroundings, named as the variables are, in lower case and without the prefix.

    Some are secret, so the text of one holds none of them.
    """

    bootstrap: str = "127.0.0.1:9092"  # Kafka brokers, host:port[,host:port]
    kafka_security_protocol: Protocol = "PLAINTEXT"
    kafka_sasl_mechanism: Mechanism = "SCRAM-SHA-512"
    kafka_username: str = ""
    kafka_password: str = ""  # secret
    kafka_password_file: str = ""
    kafka_ca: str = ""  # PEM; empty: the authorities that this machine trusts
    kafka_certificate: str = ""  # PEM, where brokers ask for one
    kafka_key: str = ""  # PEM
    kafka_key_password: str = ""  # secret
    kafka_key_password_file: str = ""
    redis_url: str = "redis://127.0.0.1:6379/0"
    redis_username: str = ""
    redis_password: str = ""  # secret
    redis_password_file: str = ""
    redis_ca: str = ""  # the rest as with Kafka
    redis_certificate: str = ""
    redis_key: str = ""
    redis_key_password: str = ""  # secret
    redis_key_password_file: str = ""
    config: str = "driftline.yaml"
    installation: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}$(?!\n)")] = "main"
    topic_prefix: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{0,64}$(?!\n)")] = ""
    halves_partitions: Partitions = 4
    observations_partitions: Partitions = 2
    alerts_partitions: Partitions = 2
    input_partitions: Partitions = 4
    id_key: str = ""  # secret; keys the hashes of request ids
    id_key_file: str = ""
    checkpoint_key: str = ""  # secret; encrypts the detector's checkpoints, and reads those of keys after a comma
    checkpoint_key_file: str = ""
    assignment: Literal["fixed", "group"] = "fixed"  # who shares out partitions among joiners and among detectors
    instance: Annotated[str, Meta(pattern=r"^[0-9]{1,4}/[0-9]{1,4}$(?!\n)")] = "0/1"  # of which each has every n-th
    heartbeat: str = "1m"
    block_linger: str = "100ms"
    confirmed_log_time: str = ""  # RFC 3339; the joiner takes leaps of log time up to then
    dead_letter_run: Annotated[int, Meta(ge=1)] = 200  # so many dead letters in a row halt an input log
    dead_letter_ratio: Annotated[float, Meta(ge=0, le=1)] = 0.5  # so does a larger share of the last 1,000
    health_host: str = "127.0.0.1"  # where /livez, /readyz and /metrics are served; 0.0.0.0 in a container
    health_port: Port = 9300  # the first service's; the others follow in order of flow. 0: any free one
    log_level: Annotated[str, Meta(pattern=r"^(debug|info|warning|error)$(?!\n)")] = "info"
    fail: str = ""  # failpoints, tests only: <place>:<exit|stop|raise>@<n>
    cache: str = ""  # where jars and compiled kernels are kept; empty: the user's cache folder

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

    @property
    def kafka(self) -> KafkaAccess:
        """Return how the brokers are reached."""
        return KafkaAccess(
            self.bootstrap,
            self.kafka_security_protocol,
            self.kafka_sasl_mechanism,
            self.kafka_username,
            Secret(f"{PREFIX}KAFKA_PASSWORD", self.kafka_password, self.kafka_password_file),
            Tls(
                f"{PREFIX}KAFKA",
                Secret(f"{PREFIX}KAFKA_KEY_PASSWORD", self.kafka_key_password, self.kafka_key_password_file),
                self.kafka_ca,
                self.kafka_certificate,
                self.kafka_key,
            ),
        )

    @property
    def redis(self) -> RedisAccess:
        """Return how Redis is reached."""
        return RedisAccess(
            self.redis_url,
            self.redis_username,
            Secret(f"{PREFIX}REDIS_PASSWORD", self.redis_password, self.redis_password_file),
            Tls(
                f"{PREFIX}REDIS",
                Secret(f"{PREFIX}REDIS_KEY_PASSWORD", self.redis_key_password, self.redis_key_password_file),
                self.redis_ca,
                self.redis_certificate,
                self.redis_key,
            ),
        )

    def of_open_servers(self, bootstrap: str, redis_url: str) -> Settings:
        """Return these settings on a Kafka and a Redis that ask nobody who they are."""
        access = (name for name in self.__struct_fields__ if name.startswith(("kafka_", "redis_")))
        usual = {name: getattr(Settings(), name) for name in access}
        return msgspec.structs.replace(self, **{**usual, "bootstrap": bootstrap, "redis_url": redis_url})

    @property
    def id_secret(self) -> Secret:
        """Return what keys the hashes of request ids."""
        return Secret(f"{PREFIX}ID_KEY", self.id_key, self.id_key_file)

    @property
    def checkpoint_secret(self) -> Secret:
        """Return what encrypts the detector's checkpoints."""
        return Secret(f"{PREFIX}CHECKPOINT_KEY", self.checkpoint_key, self.checkpoint_key_file)

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
        """Return the variables that give another process these settings; a secret from a file stays in its file."""
        values = msgspec.structs.asdict(self)
        if self.id_key_file:
            values["id_key"] = ""
        return {f"{PREFIX}{name.upper()}": str(value) for name, value in values.items()}

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Return what may be shown."""
        given = {**msgspec.structs.asdict(self), "redis_url": without_password(self.redis_url)}
        return [(name, "…" if value and name in HIDDEN else value) for name, value in given.items()]

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return the settings in `environ`.

    Raises:
        ConfigurationError: an unknown `DRIFTLINE_` variable, a value that does not fit, or two that contradict
            each other; never repeats a value.
    """
    given = {name[len(PREFIX) :].lower(): text for name, text in environ.items() if name.startswith(PREFIX)}
    known = {field.name for field in msgspec.structs.fields(Settings)}
    for name in given:
        if name not in known:
            raise ConfigurationError(f"{PREFIX}{name.upper()}", "no such setting")
    try:
        settings = msgspec.convert(given, Settings, strict=False)
    except msgspec.ValidationError as exc:
        message, _, where = str(exc).partition(" - at `$.")
        raise ConfigurationError(f"{PREFIX}{where.rstrip('`').upper()}", message) from exc
    if settings.assignment == "group" and settings.instance != Settings().instance:
        raise ConfigurationError(
            f"{PREFIX}INSTANCE", "is for partitions that are fixed; a group shares them out itself"
        )
    settings.id_secret.check()
    settings.checkpoint_secret.check()
    settings.kafka.check()
    settings.redis.check()
    return settings
