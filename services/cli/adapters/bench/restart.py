"""Seconds from the start of all services, killed in the middle of their work, until they tell of something new.

Killed with SIGKILL, all at once, while predictions came; then predictions of a new version of the model come, whose
amounts all changed. Counted until the incident that tells of them can be read in `alerts`. Kafka and Redis live on.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import msgspec

from services.cli import publication
from services.cli.adapters.supervisor import driftline, start_child
from services.cli.bench import loans
from services.cli.bench.figure import BenchFailed, Figure, Measure, Place
from services.cli.names import SERVICES
from shared.adapters.kafka import KafkaReader, KafkaWriter
from shared.control import sources
from shared.log import Outgoing
from shared.settings import Settings

LIMIT_SECONDS = 10.0
PATIENCE_SECONDS = 120.0  # a first start compiles the detector
EVENTS = 2_000  # of each version; the change is known after 200 or so
SPEC = msgspec.structs.replace(loans.SPEC, cycle="none")  # its reference is of minutes, and pages from the start
OPENED = "driftline.incident.opened"


class RestartBench:
    """Seconds."""

    needs_stack = True
    figures = (Figure(name="restart.alert", unit="s", what="from kill -9 to the first new alert", limit=LIMIT_SECONDS),)

    @contextmanager
    def ready(self, place: Place) -> Iterator[Measure]:
        """Publish the model, start the services, and let them tell of a first version."""
        settings = place.settings
        writer = KafkaWriter(settings.kafka, "bench")
        publication.publish(writer, settings.topics, loans.publication(SPEC))
        with tempfile.TemporaryDirectory(prefix="driftline-bench-") as folder:
            configuration = Path(folder) / "driftline.yaml"
            models = {loans.MODEL: SPEC.without_secrets()}
            configuration.write_bytes(msgspec.yaml.encode({"models": models, "notify": [{"to": "log"}]}))
            crew = _Crew(msgspec.structs.replace(settings, config=str(configuration)), Path(folder) / "output", writer)
            try:
                crew.start()
                crew.await_news()
                yield crew.measure
            finally:
                crew.kill()
                writer.close()


BENCH = RestartBench()


class _Crew:
    """All services, one process each, which write to one file."""

    def __init__(self, settings: Settings, output: Path, writer: KafkaWriter) -> None:
        self._settings = settings
        self._output = output
        self._writer = writer
        self._versions = (f"v{number}" for number in count())
        self._running: list[subprocess.Popen[str]] = []

    def measure(self) -> Mapping[str, float]:
        """Kill them at work, start them again, and wait."""
        self._predict(next(self._versions))
        self.kill()
        begun = time.perf_counter()
        self.start()
        self.await_news()
        return {"restart.alert": time.perf_counter() - begun}

    def start(self) -> None:
        """Start each."""
        with self._output.open("ab") as output:
            self._running = [
                start_child(
                    driftline("services", "run", name, "--child"), self._settings.environment(), output.fileno()
                )
                for name in SERVICES
            ]

    def kill(self) -> None:
        """End all at once, whatever they are doing."""
        for process in self._running:
            process.kill()
        for process in self._running:
            process.communicate()
        self._running = []

    def await_news(self) -> None:
        """Predict with a new version, and wait until an incident of it is told of."""
        version = next(self._versions)
        reader = KafkaReader(self._settings.kafka, "bench")
        alerts = self._settings.topics.alerts
        reader.assign({source: reader.bounds(source).high for source in sources(reader, alerts)})
        self._predict(version)
        patience = time.monotonic() + PATIENCE_SECONDS
        try:
            while time.monotonic() < patience and all(process.poll() is None for process in self._running):
                for record in reader.poll(100, 1.0):
                    alert = msgspec.json.decode(record.value or b"{}")
                    if alert["type"] == OPENED and alert["data"]["model_version"] == version:
                        return
        finally:
            reader.close()
        said = self._output.read_text(encoding="utf-8", errors="replace")
        raise BenchFailed(f"no service told of {version} in {PATIENCE_SECONDS:g} s, or one ended:\n{said[-4_000:]}")

    def _predict(self, version: str) -> None:
        for key, event in loans.shifted(EVENTS, version):
            self._writer.send(Outgoing(self._settings.topics.predictions, event, key))
        self._writer.flush()
