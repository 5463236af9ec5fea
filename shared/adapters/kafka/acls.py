"""Grants as Kafka's access control lists: what is missing, what there is, and giving them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from shared.access import KafkaAccess
from shared.adapters.kafka.client import ANSWER_SECONDS, Outage, cause, client_settings, refused_or
from shared.errors import Denied
from shared.grants import Grant, Operation, Resource

EVERYWHERE = "*"  # hosts
_RESOURCES = {
    Resource.TOPIC: ResourceType.TOPIC,
    Resource.GROUP: ResourceType.GROUP,
    Resource.TRANSACTIONAL_ID: ResourceType.TRANSACTIONAL_ID,
}
_OPERATIONS = {
    Operation.READ: AclOperation.READ,
    Operation.WRITE: AclOperation.WRITE,
    Operation.CREATE: AclOperation.CREATE,
    Operation.DESCRIBE: AclOperation.DESCRIBE,
    Operation.DESCRIBE_CONFIGS: AclOperation.DESCRIBE_CONFIGS,
}


class KafkaAcls:
    """A short-lived client of whoever asks what it may do, or gives others what they may."""

    def __init__(self, access: KafkaAccess, name: str = "acls") -> None:
        self._access = access
        self._outage = Outage()
        self._client = AdminClient(client_settings(access, name, self._outage))

    def require(self, grants: Sequence[Grant]) -> None:
        """Return if we may do all of this, as far as a broker tells; topics that do not exist are left out.

        Raises:
            Denied: names everything that is missing, and what mends it.
            Unavailable: no broker answers.
        """
        allowed = self._allowed(grants)
        missing = [grant for grant in grants if not self._may(grant, allowed)]
        if missing:
            named = ", ".join(f"{grant.operation} {grant.resource} {grant.name}" for grant in missing)
            mend = f"`driftline topics acls --role {missing[0].role} --apply` grants it"
            raise Denied(f"Kafka does not let {self._access.username or 'us'} do this; {mend}: {named}")

    def missing(self, wanted: Mapping[Grant, str]) -> list[Grant]:
        """Return which grants their principals do not have literally so.

        Raises:
            Denied: we may not see them.
        """
        any_name: Any = None  # the library types it as a text
        everything = AclBindingFilter(
            ResourceType.ANY,
            any_name,
            ResourcePatternType.ANY,
            any_name,
            any_name,
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        try:
            found = self._client.describe_acls(everything, request_timeout=ANSWER_SECONDS).result(2 * ANSWER_SECONDS)
        except KafkaException as exc:
            raise refused_or(cause(exc), "access control lists", self._access) from exc
        there = set(map(_known, found))
        return [grant for grant, principal in wanted.items() if _known(_binding(grant, principal)) not in there]

    def apply(self, wanted: Mapping[Grant, str]) -> None:
        """Give grants to principals; what they have already is no matter.

        Raises:
            Denied: we may not.
        """
        bindings = [_binding(grant, principal) for grant, principal in wanted.items()]
        for answer in self._client.create_acls(bindings, request_timeout=ANSWER_SECONDS).values():
            try:
                answer.result(2 * ANSWER_SECONDS)
            except KafkaException as exc:
                raise refused_or(cause(exc), "access control lists", self._access) from exc

    def _allowed(self, grants: Sequence[Grant]) -> dict[tuple[Resource, str], frozenset[AclOperation] | None]:
        """Return what a broker lets us do with each thing; None where it does not exist or cannot be asked about."""
        topics = sorted({grant.name for grant in grants if grant.resource is Resource.TOPIC})
        groups = sorted({grant.name for grant in grants if grant.resource is Resource.GROUP and not grant.is_prefix})
        asked: Any = {"request_timeout": ANSWER_SECONDS, "include_authorized_operations": True}
        found: dict[tuple[Resource, str], frozenset[AclOperation] | None] = {}
        for name, answer in self._client.describe_topics(TopicCollection(topics), **asked).items():
            found[Resource.TOPIC, name] = self._operations(answer, f"topic {name}")
        for name, answer in self._client.describe_consumer_groups(groups, **asked).items() if groups else ():
            found[Resource.GROUP, name] = self._operations(answer, f"group {name}")
        return found

    def _operations(self, answer: Any, what: str) -> frozenset[AclOperation] | None:
        try:
            operations = answer.result(2 * ANSWER_SECONDS).authorized_operations
        except KafkaException as exc:
            code = cause(exc).code()
            if code in (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.GROUP_AUTHORIZATION_FAILED):
                return frozenset()
            if code in (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.GROUP_ID_NOT_FOUND):
                return None
            raise refused_or(cause(exc), what, self._access) from exc
        return None if operations is None else frozenset(operations)

    @staticmethod
    def _may(grant: Grant, allowed: Mapping[tuple[Resource, str], frozenset[AclOperation] | None]) -> bool:
        found = allowed.get((grant.resource, grant.name))
        return found is None or _OPERATIONS[grant.operation] in found


def _binding(grant: Grant, principal: str) -> AclBinding:
    pattern = ResourcePatternType.PREFIXED if grant.is_prefix else ResourcePatternType.LITERAL
    operation, allow = _OPERATIONS[grant.operation], AclPermissionType.ALLOW
    return AclBinding(_RESOURCES[grant.resource], grant.name, pattern, principal, EVERYWHERE, operation, allow)


def _known(binding: AclBinding) -> tuple[object, ...]:
    return (
        binding.restype,
        binding.name,
        binding.resource_pattern_type,
        binding.principal,
        binding.host,
        binding.operation,
        binding.permission_type,
    )
