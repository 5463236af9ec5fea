from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from services.devstack.adapters.jars import keep_jars
from services.devstack.jars import Jar, class_path, kafka_version, locked_jars, read_lock
from services.devstack.stack import StackFailed

CONTENT = b"the bytes of a jar"
JAR = Jar(group="org.example", artifact="thing", version="1.2", sha256=hashlib.sha256(CONTENT).hexdigest())


class Repository:
    """Serves `content` as every jar, after `failures` that a network would give; counts the requests."""

    def __init__(self, content: bytes, failures: int = 0) -> None:
        self._content = content
        self._failures = failures
        self.requests = 0

    def download(self, jar: Jar, into: Path) -> Path:
        self.requests += 1
        if self.requests <= self._failures:
            raise ConnectionResetError("reset by peer")
        into.mkdir()
        path = into / jar.file
        path.write_bytes(self._content)
        return path


def _ignored(line: str) -> None:
    assert line


def test_the_locked_broker_is_kafka_4_1_with_a_client_of_its_own_release() -> None:
    jars = locked_jars()

    assert kafka_version(jars) == "4.1.1"
    assert {jar.version for jar in jars if jar.group == "org.apache.kafka"} == {"4.1.1"}


def test_every_locked_jar_has_a_checksum_and_a_name_of_its_own() -> None:
    jars = locked_jars()

    assert {len(jar.sha256) for jar in jars} == {64}
    assert len({jar.file for jar in jars}) == len(jars)


def test_the_logs_of_the_broker_have_their_binding() -> None:
    artifacts = {jar.artifact for jar in locked_jars()}

    assert {"log4j-slf4j-impl", "log4j-core"} <= artifacts
    assert "log4j-slf4j2-impl" not in artifacts


def test_a_lock_file_gives_the_class_path_in_its_own_order() -> None:
    text = """
    [metadata]
    jgo_version = "2.0.0"
    [[dependencies]]
    groupId = "org.b"
    artifactId = "b"
    version = "2"
    packaging = "jar"
    sha256 = "00"
    [[dependencies]]
    groupId = "org.a"
    artifactId = "a"
    version = "1"
    packaging = "jar"
    sha256 = "11"
    """

    assert class_path(Path("/jars"), read_lock(text)) == "/jars/b-2.jar:/jars/a-1.jar"


def test_jars_are_downloaded_once(tmp_path: Path) -> None:
    repository = Repository(CONTENT)

    keep_jars([JAR], tmp_path, repository.download, _ignored)
    keep_jars([JAR], tmp_path, repository.download, _ignored)

    assert repository.requests == 1
    assert [path.name for path in tmp_path.iterdir()] == ["thing-1.2.jar"]


def test_a_damaged_jar_is_downloaded_again(tmp_path: Path) -> None:
    (tmp_path / JAR.file).write_bytes(CONTENT[:-1])

    keep_jars([JAR], tmp_path, Repository(CONTENT).download, _ignored)

    assert (tmp_path / JAR.file).read_bytes() == CONTENT


def test_a_jar_that_is_not_the_locked_one_is_refused_and_not_kept(tmp_path: Path) -> None:
    with pytest.raises(StackFailed, match=r"thing-1\.2\.jar is not the file that kafka\.lock names"):
        keep_jars([JAR], tmp_path, Repository(b"other bytes").download, _ignored)

    assert list(tmp_path.iterdir()) == []


def test_a_passing_fault_of_the_network_is_tried_again(tmp_path: Path) -> None:
    repository = Repository(CONTENT, failures=2)

    keep_jars([JAR], tmp_path, repository.download, _ignored)

    assert repository.requests == 3


def test_a_lasting_fault_of_the_network_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StackFailed, match=r"cannot download org\.example:thing:1\.2 .*check the network"):
        keep_jars([JAR], tmp_path, Repository(CONTENT, failures=3).download, _ignored)
