"""Seconds from the start of each service's process until its log says that it started.

The model is published and the detector's kernels are compiled before, as on every start but the first.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Timer

import msgspec

from services.cli import publication
from services.cli.adapters.supervisor import driftline, start_child
from services.cli.bench import loans
from services.cli.bench.figure import Figure, Measure, Place
from services.cli.names import SERVICES
from shared.adapters.kafka import KafkaWriter
from shared.settings import Settings

LIMIT_SECONDS = 5.0
PATIENCE_SECONDS = 120.0  # a first start compiles the detector


class StartupBench:
    """Seconds, for each service."""

    needs_stack = True
    figures = tuple(
        Figure(name=f"startup.{name}", unit="s", what=f"from process to started, {name}", limit=LIMIT_SECONDS)
        for name in SERVICES
    )

    @contextmanager
    def ready(self, place: Place) -> Iterator[Measure]:
        """Publish the model."""
        writer = KafkaWriter(place.settings.kafka, "bench")
        publication.publish(writer, place.settings.topics, loans.publication())
        writer.close()
        with tempfile.TemporaryDirectory(prefix="driftline-bench-") as folder:
            configuration = Path(folder) / "driftline.yaml"
            models = {loans.MODEL: loans.SPEC.without_secrets()}
            configuration.write_bytes(msgspec.yaml.encode({"models": models, "notify": [{"to": "log"}]}))
            settings = msgspec.structs.replace(place.settings, config=str(configuration))
            yield partial(_measure, settings)


BENCH = StartupBench()


def _measure(settings: Settings) -> Mapping[str, float]:
    return {f"startup.{name}": _seconds_to_start(name, settings) for name in SERVICES}


def _seconds_to_start(name: str, settings: Settings) -> float:
    begun = time.perf_counter()
    child = start_child(driftline("services", "run", name, "--child"), settings.environment(), subprocess.PIPE)
    impatience = Timer(PATIENCE_SECONDS, child.kill)
    impatience.start()
    try:
        assert child.stdout is not None  # noqa: S101 - started with a pipe
        said: list[str] = []
        for line in child.stdout:
            said.append(line)
            if _is_started(line):
                return time.perf_counter() - begun
        raise AssertionError(f"{name} ended or was not started in {PATIENCE_SECONDS:g} s:\n{''.join(said)}")
    finally:
        impatience.cancel()
        child.kill()
        child.communicate()


def _is_started(line: str) -> bool:
    try:
        return bool(msgspec.json.decode(line)["event"] == "started")
    except (msgspec.DecodeError, KeyError, TypeError):
        return False
