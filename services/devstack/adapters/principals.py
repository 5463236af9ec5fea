"""Gives a secured stack its users: one principal a role, with what its role needs and no more."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from confluent_kafka.admin import (
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialAlteration,
    UserScramCredentialUpsertion,
)

from services.devstack.security import Files, as_user
from shared.adapters.kafka.acls import KafkaAcls
from shared.adapters.kafka.client import ANSWER_SECONDS, Outage, client_settings
from shared.adapters.redis import connect
from shared.grants import ROLES, grants_of, redis_grants
from shared.settings import Settings

_ITERATIONS = 4096


def enrol(
    administrator: Settings, installation: Settings, files: Files, *, prefix: str, roles: Sequence[str] = ROLES
) -> dict[str, Settings]:
    """Make users `<prefix><role>` of both servers, and return the settings of each; a password that is there stays."""
    users = {role: f"{prefix}{role}" for role in roles}
    passwords = {user: _password(files, user) for user in users.values()}
    _know(administrator, passwords)
    grants = {grant: f"User:{users[role]}" for role in roles for grant in grants_of(role, installation)}
    KafkaAcls(administrator.kafka).apply(grants)
    with closing(connect(administrator.redis)) as client:
        redis: Any = client  # who does not type its open end
        for grant in redis_grants(installation):
            if grant.role in users:
                user = users[grant.role]
                digest = hashlib.sha256(passwords[user].encode()).hexdigest()
                redis.execute_command(*grant.rule(user).split(" "), f"#{digest}")
        redis.acl_save()
    return {role: as_user(installation, user, files) for role, user in users.items()}


def know(administrator: Settings, files: Files, user: str) -> None:
    """Make a user of Kafka that may do nothing."""
    _know(administrator, {user: _password(files, user)})


def _know(administrator: Settings, passwords: dict[str, str]) -> None:
    kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
    client = AdminClient(client_settings(administrator.kafka, "principals", Outage()))
    changes: list[UserScramCredentialAlteration] = [
        UserScramCredentialUpsertion(user, kind, password.encode()) for user, password in passwords.items()
    ]
    for answer in client.alter_user_scram_credentials(changes).values():
        answer.result(ANSWER_SECONDS)


def _password(files: Files, user: str) -> str:
    file = files.password(user)
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(secrets.token_hex(16), encoding="utf-8")
    return file.read_text(encoding="utf-8")
