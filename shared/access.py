"""How Kafka and Redis are reached: addresses, who we are there, and whom we trust. Secrets are never shown."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from msgspec import Meta

from shared.errors import ConfigurationError

Protocol = Annotated[str, Meta(pattern=r"^(SASL_)?(PLAINTEXT|SSL)$(?!\n)")]
Mechanism = Annotated[str, Meta(pattern=r"^(PLAIN|SCRAM-SHA-(256|512))$(?!\n)")]
CLUSTER = "+cluster"  # behind the scheme of a node's URL: the others of its cluster are asked for
REDIS_SCHEMES = ("redis", "rediss", "unix", f"redis{CLUSTER}", f"rediss{CLUSTER}")


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret, or the file that holds it; `name` is its variable."""

    name: str
    text: str = field(default="", repr=False)
    file: str = ""

    @property
    def is_given(self) -> bool:
        """Say whether there is one."""
        return bool(self.text or self.file)

    def check(self) -> None:
        """Refuse a secret that is given twice.

        Raises:
            ConfigurationError: names the variable.
        """
        if self.text and self.file:
            raise ConfigurationError(f"{self.name}_FILE", f"{self.name} is given too; keep one of them")


@dataclass(frozen=True, slots=True)
class Tls:
    """Whom we trust and what we show, as PEM files. Names of hosts are always verified."""

    prefix: str  # of the variables' names
    key_password: Secret
    ca: str = ""  # empty: the authorities that this machine trusts
    certificate: str = ""
    key: str = ""

    def check(self, *, is_used: bool, advice: str) -> None:
        """Refuse files that nobody would read, and half a client's certificate.

        Raises:
            ConfigurationError: names the variable.
        """
        self.key_password.check()
        for name, value in (("CA", self.ca), ("CERTIFICATE", self.certificate), ("KEY", self.key)):
            if value and not is_used:
                raise ConfigurationError(f"{self.prefix}_{name}", f"is not used without TLS; {advice}")
        for name, value, other in (("KEY", self.key, self.certificate), ("CERTIFICATE", self.certificate, self.key)):
            if other and not value:
                raise ConfigurationError(f"{self.prefix}_{name}", "is missing: a certificate and its key come together")
        if self.key_password.is_given and not self.key:
            raise ConfigurationError(self.key_password.name, f"there is no {self.prefix}_KEY to unlock")


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """The brokers, and one principal."""

    bootstrap: str
    protocol: Protocol
    mechanism: Mechanism
    username: str
    password: Secret
    tls: Tls

    @property
    def uses_tls(self) -> bool:
        """Say whether connections are encrypted."""
        return self.protocol.endswith("SSL")

    @property
    def uses_sasl(self) -> bool:
        """Say whether we log in with a password."""
        return self.protocol.startswith("SASL")

    def check(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ConfigurationError: names the variable, never its value.
        """
        protocol = "DRIFTLINE_KAFKA_SECURITY_PROTOCOL"
        self.tls.check(is_used=self.uses_tls, advice=f"set {protocol} to SSL or SASL_SSL")
        self.password.check()
        for name, is_given in (
            ("DRIFTLINE_KAFKA_USERNAME", bool(self.username)),
            (self.password.name, self.password.is_given),
        ):
            if is_given and not self.uses_sasl:
                raise ConfigurationError(name, f"is not used without SASL; set {protocol} to SASL_SSL")
            if self.uses_sasl and not is_given:
                raise ConfigurationError(name, f"is missing: {self.protocol} logs in with a name and a password")


@dataclass(frozen=True, slots=True)
class RedisAccess:
    """One Redis, and one of its users."""

    url: str = field(repr=False)  # may hold a password
    username: str
    password: Secret
    tls: Tls

    @property
    def uses_tls(self) -> bool:
        """Say whether connections are encrypted."""
        return self.node_url.startswith("rediss:")

    @property
    def is_cluster(self) -> bool:
        """Say whether the URL is of a node of a Redis Cluster."""
        return self.url.partition("://")[0].endswith(CLUSTER)

    @property
    def node_url(self) -> str:
        """Return the URL in the form of redis-py."""
        scheme, separator, rest = self.url.partition("://")
        return f"{scheme.removesuffix(CLUSTER)}{separator}{rest}"

    def check(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ConfigurationError: names the variable, never its value.
        """
        url = "DRIFTLINE_REDIS_URL"
        scheme, _, rest = self.url.partition("://")
        if scheme not in REDIS_SCHEMES or not rest:
            raise ConfigurationError(url, f"must begin with one of {', '.join(f'{name}://' for name in REDIS_SCHEMES)}")
        if "?" in rest:
            # Among them are switches that would turn verification off.
            raise ConfigurationError(url, "takes no parameters after `?`; TLS and users have variables of their own")
        if self.is_cluster and rest.rpartition("@")[2].partition("/")[2] not in ("", "0"):
            raise ConfigurationError(url, "a Redis Cluster has only the database 0; leave out the number")
        self.tls.check(is_used=self.uses_tls, advice=f"begin {url} with rediss://")
        self.password.check()
        if self.username and not self.password.is_given:
            raise ConfigurationError(self.password.name, "is missing: DRIFTLINE_REDIS_USERNAME has one")
        if self.password.is_given and "@" in rest:
            raise ConfigurationError(url, f"holds a user of its own beside {self.password.name}; keep one of them")


def without_password(url: str) -> str:
    """Return a URL as it may be shown."""
    scheme, _, rest = url.partition("://")
    _, at, host = rest.rpartition("@")
    return f"{scheme}://…@{host}" if at else url
