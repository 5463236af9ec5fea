"""The embedded stack of a test session, and the settings that keep tests on it apart."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from services.devstack.adapters.stack import RunningStack, running_stack
from services.devstack.stack import StackFailed, StackOptions
from shared.adapters.user_cache import cache_folder
from shared.settings import Settings

REQUIRED = "REQUIRE_STACK"  # set where a missing Kafka or Redis is a failure, not a skip


def options(*, secure: bool = False) -> StackOptions:
    """Return ports that no program of this machine uses by default, so that a test never meets a person's broker."""
    cache = cache_folder(os.environ.get("DRIFTLINE_CACHE", ""), os.environ)
    return StackOptions(cache=cache, kafka_port=0, redis_port=0, secure=secure)


@contextmanager
def session_stack(outcome: list[str], *, secure: bool = False) -> Iterator[RunningStack]:
    """Start the session's stack; appends to `outcome` what the tests ran on, or why they were skipped."""
    with ExitStack() as undo:
        try:
            stack = undo.enter_context(running_stack(options(secure=secure), print))
        except StackFailed as exc:
            reason = f"no embedded stack: {exc}"
            outcome.append(f"e2e SKIPPED, {reason}")
            if os.environ.get(REQUIRED):
                pytest.fail(f"{REQUIRED} is set, but there is {reason}", pytrace=False)
            pytest.skip(reason)
        outcome.append(
            f"e2e{', secured,' if secure else ''} ran on Apache Kafka {stack.kafka_version} "
            f"(Java {stack.java_version}, {stack.java}) and Redis {stack.redis_version} ({stack.redis_server})"
        )
        yield stack


def own_settings(stack: RunningStack) -> Settings:
    """Return settings for `stack` with topics and keys that no other test uses."""
    name = f"t{uuid.uuid4().hex[:12]}"
    return Settings(
        bootstrap=stack.bootstrap,
        redis_url=stack.redis_url,
        topic_prefix=f"{name}.",
        installation=name,
        id_key="test",
        health_port=0,
    )
