"""Kafka's jars: what is asked for, and `kafka.lock`, which pins every one of them by version and SHA-256."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import msgspec

KAFKA = "kafka_2.13"

# The broker asks for slf4j 1.7, so its logs need log4j-slf4j-impl: under log4j-slf4j2-impl they vanish.
# `!` resolves a coordinate by its own POM. Without it log4j's table of managed versions, which names an
# older kafka-clients, would be imposed on Kafka itself.
COORDINATES = (
    f"org.apache.kafka:{KAFKA}:4.1.1!",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3!",
    "org.apache.logging.log4j:log4j-core:2.24.3!",
)


class Jar(msgspec.Struct, frozen=True):
    """One locked file."""

    group: str = msgspec.field(name="groupId")
    artifact: str = msgspec.field(name="artifactId")
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """Return the name under which it is kept."""
        return f"{self.artifact}-{self.version}.jar"


class _Lock(msgspec.Struct):
    dependencies: tuple[Jar, ...]


def read_lock(text: str) -> tuple[Jar, ...]:
    """Return the jars of a lock file, in the order of the class path. The format is jgo's."""
    return msgspec.convert(tomllib.loads(text), _Lock).dependencies


def locked_jars() -> tuple[Jar, ...]:
    """Return the jars of this release."""
    return read_lock(files(__package__).joinpath("kafka.lock").read_text(encoding="utf-8"))


def kafka_version(jars: Iterable[Jar]) -> str:
    """Return the version of the broker among `jars`."""
    return next(jar.version for jar in jars if jar.artifact == KAFKA)


def class_path(folder: Path, jars: Iterable[Jar]) -> str:
    """Return the value of Java's `-cp` for jars kept in `folder`."""
    return os.pathsep.join(str(folder / jar.file) for jar in jars)
