"""Who may do what: the trust boundary, least privilege, and that commands of Redis are those that the code uses."""

from __future__ import annotations

import re

import pytest

from services.cli.principals import kafka_commands, principals, wanted
from shared.errors import ConfigurationError
from shared.grants import ROLES, Grant, Operation, Resource, grants_of, redis_grants
from shared.services import SERVICES
from shared.settings import Settings
from tests.kit.repository import ROOT

SETTINGS = Settings(installation="eu", topic_prefix="eu.")


def writers(topic: str) -> set[str]:
    return {
        grant.role
        for role in ROLES
        for grant in grants_of(role, SETTINGS)
        if (grant.resource, grant.name, grant.operation) == (Resource.TOPIC, topic, Operation.WRITE)
    }


def test_every_service_is_a_role() -> None:
    assert set(SERVICES) <= set(ROLES)


def test_only_those_write_a_log_whose_numbers_it_trusts() -> None:
    topics = SETTINGS.topics

    assert writers(topics.halves) == {"prediction_consumer", "ground_truth_consumer", "operator", "eraser"}
    assert writers(topics.observations) == {"joiner"}
    assert writers(topics.alerts) == writers(topics.incidents) == {"detector"}
    assert writers(topics.checkpoints) == {"detector", "operator"}
    assert writers(topics.control) == {"operator", "eraser"}


def test_a_role_is_granted_what_it_needs_in_its_installation_only() -> None:
    halves, observations = "eu.driftline.halves", "eu.driftline.observations"

    assert grants_of("joiner", SETTINGS) == [
        Grant("joiner", Resource.GROUP, "eu.driftline-eu-joiner", Operation.READ),
        Grant("joiner", Resource.TOPIC, halves, Operation.DESCRIBE_CONFIGS),
        Grant("joiner", Resource.TOPIC, halves, Operation.READ),
        Grant("joiner", Resource.TOPIC, observations, Operation.DESCRIBE_CONFIGS),
        Grant("joiner", Resource.TOPIC, observations, Operation.WRITE),
    ]
    groups = {grant.name for grant in grants_of("notifier", SETTINGS) if grant.resource is Resource.GROUP}
    assert groups == {SETTINGS.group("notifier")}
    assert grants_of("nobody", SETTINGS) == []


def test_transactions_are_the_detectors() -> None:
    found = [g for role in ROLES for g in grants_of(role, SETTINGS) if g.resource is Resource.TRANSACTIONAL_ID]

    assert {(grant.role, grant.name, grant.is_prefix) for grant in found} == {
        ("detector", "eu.driftline-eu-alerts-", True)
    }


CALLED = re.compile(r"redis\.call\('([A-Z]+)'")
SCRIPTS = {
    "joiner": ["joiner/adapters/read.lua", "joiner/adapters/compare_and_set.lua"],
    "notifier": ["notifier/adapters/compare_and_set.lua"],
    "detector": ["detector/adapters/redis_checkpoints.py"],
}
# Beside what the scripts call: the looks of the view, of `refuse_eviction`, of the books and of the checkpoints.
DIRECTLY = {
    "joiner": {"hmget", "hlen", "unlink", "multi", "exec", "info"},
    "notifier": {"hgetall"},
    "detector": {"get"},
}


@pytest.mark.parametrize("role", SCRIPTS)
def test_the_commands_of_a_role_are_those_that_it_calls(role: str) -> None:
    (grant,) = [grant for grant in redis_grants(SETTINGS) if grant.role == role]
    called = {
        word.lower() for name in SCRIPTS[role] for word in CALLED.findall((ROOT / "services" / name).read_text("utf-8"))
    }

    assert set(grant.commands) == called | DIRECTLY[role] | {"evalsha", "script|load"}


def test_nobody_may_do_what_ends_or_opens_a_redis() -> None:
    granted = {command for grant in redis_grants(SETTINGS) for command in grant.commands}

    assert granted & {"flushall", "flushdb", "config", "keys", "debug", "acl", "script", "eval"} == set()
    assert [grant.patterns for grant in redis_grants(SETTINGS)][:3] == [
        ("{driftline:eu:4:*",),
        ("driftline:eu:ck:*",),
        ("{driftline:eu:notify:*",),
    ]


def test_an_operator_deletes_in_redis_what_is_built_anew_and_reads_nothing() -> None:
    (grant,) = [grant for grant in redis_grants(SETTINGS) if grant.role == "operator"]

    assert grant.patterns == ("{driftline:eu:4:*", "driftline:eu:ck:*")
    assert set(grant.commands) == {"unlink", "hset", "multi", "exec"}


def test_a_user_of_redis_is_made_anew() -> None:
    rule = redis_grants(SETTINGS)[1].rule("driftline-detector")

    assert rule == (
        "ACL SETUSER driftline-detector reset on ~driftline:eu:ck:* +get +getrange +set +evalsha +script|load"
    )


def test_principals_have_the_prefix_or_their_own_name() -> None:
    found = principals(["joiner", "detector"], "dl-", ["detector=User:CN=detector,O=acme"])

    assert found == {"joiner": "User:dl-joiner", "detector": "User:CN=detector,O=acme"}


@pytest.mark.parametrize(("role", "named"), [("nobody", "joiner=User:x"), ("joiner", "joiner=x")])
def test_a_role_or_principal_that_is_none_is_refused(role: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=r"--role: nobody is none of|--principal: joiner: is ROLE=User:NAME"):
        principals([role], "", [named])


def test_commands_are_those_of_kafkas_tool() -> None:
    grants = wanted(SETTINGS, principals(["subscriber"], "dl-", []))

    lines = list(kafka_commands("b:1", grants))

    tool = "kafka-acls.sh --bootstrap-server b:1 --command-config admin.properties --add"
    subscriber = f"{tool} --allow-principal 'User:dl-subscriber' --operation Read"
    assert lines == [
        f"{subscriber} --group 'eu.driftline-eu-subscriber-' --resource-pattern-type prefixed",
        f"{subscriber} --topic 'eu.alerts'",
        f"{subscriber} --topic 'eu.driftline.incidents'",
        f"{subscriber} --topic 'eu.retraining'",
    ]
