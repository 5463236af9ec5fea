"""What makes a stack a secured one: names, files, and what both servers are told. Nothing is allowed by default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from shared.settings import Settings

ADMIN = "admin"  # of both servers; everything else is granted to principals
SUBJECT = "CN=driftline-broker"
HOSTS = "IP:127.0.0.1"


@dataclass(frozen=True, slots=True)
class Files:
    """Where certificates and passwords are."""

    folder: Path

    @property
    def ca(self) -> Path:
        """Return the authority's certificate, which clients trust."""
        return self.folder / "ca.pem"

    @property
    def certificate(self) -> Path:
        """Return the servers' certificate."""
        return self.folder / "server.pem"

    @property
    def key(self) -> Path:
        """Return its key."""
        return self.folder / "server.key"

    @property
    def keystore(self) -> Path:
        """Return key and certificate in one file, as Kafka wants them."""
        return self.folder / "keystore.pem"

    def password(self, user: str) -> Path:
        """Return the file with the password of a user, the same on both servers."""
        return self.folder / f"{user}.password"


def administrator(bootstrap: str, redis_url: str, files: Files | None) -> Settings:
    """Return settings that may do everything on both servers; an open stack has no files."""
    open_to_all = Settings(bootstrap=bootstrap, redis_url=redis_url)
    return open_to_all if files is None else as_user(open_to_all, ADMIN, files)


def as_user(settings: Settings, user: str, files: Files) -> Settings:
    """Return `settings` as those of a user of a secured stack."""
    password = str(files.password(user))
    return msgspec.structs.replace(
        settings,
        kafka_security_protocol="SASL_SSL",
        kafka_username=user,
        kafka_password_file=password,
        kafka_ca=str(files.ca),
        redis_username=user,
        redis_password_file=password,
        redis_ca=str(files.ca),
    )


def scram_options(user: str, password: str) -> list[str]:
    """Return what makes the tool that prepares a broker's data folder add a user."""
    return ["--add-scram", f"SCRAM-SHA-512=[name={user},password={password}]"]


def broker_properties(files: Files, password: str) -> dict[str, str]:
    """Return what makes a broker ask who its clients are, and the controller ask for the broker's certificate."""
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
    return {
        "listener.security.protocol.map": "SASL_SSL:SASL_SSL,CONTROLLER:SSL",
        "inter.broker.listener.name": "SASL_SSL",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "sasl.mechanism.inter.broker.protocol": "SCRAM-SHA-512",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": (f'{login} username="{ADMIN}" password="{password}";'),
        "listener.name.controller.ssl.client.auth": "required",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(files.keystore),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(files.ca),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{ADMIN};User:{SUBJECT}",
    }


def redis_lines(files: Files, port: int, users: Path) -> str:
    """Return what makes a Redis speak TLS only and ask who its clients are."""
    return f"""port 0
tls-port {port}
tls-cert-file "{files.certificate}"
tls-key-file "{files.key}"
tls-ca-cert-file "{files.ca}"
tls-auth-clients no
aclfile "{users}"
"""


def redis_users(password_sha256: str) -> str:
    """Return the first contents of the file of users: nobody but the administrator."""
    return f"user default off\nuser {ADMIN} on #{password_sha256} ~* &* +@all\n"
