"""Resolve Kafka's jars anew and write `kafka.lock`: the `make lock` of the broker."""

from __future__ import annotations

from pathlib import Path

from services.devstack.adapters.jars import resolve_lock

if __name__ == "__main__":
    resolve_lock(Path(__file__).with_name("kafka.lock"))
