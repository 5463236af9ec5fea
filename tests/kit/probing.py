"""A running service as probes and Prometheus see it."""

from __future__ import annotations

import http.client
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from shared.progress import Answer
from shared.settings import Settings
from tests.kit.service import Service, service
from tests.kit.validators import program
from tests.kit.waiting import until

Samples = dict[str, dict[tuple[str, ...], float]]


class Probed:
    """The health of a service at a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    def _get(self, path: str) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=30)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def live(self) -> bool:
        return self._get("/livez")[0] == 200

    def ready(self) -> Answer:
        status, body = self._get("/readyz")
        answer = msgspec.json.decode(body, type=Answer)
        assert answer.ok is (status == 200)
        return answer

    def metrics(self) -> str:
        status, body = self._get("/metrics")
        assert status == 200
        return body.decode()

    def samples(self) -> Samples:
        """Return our own metrics by name, without the prefix: value by label values, in the order of labels' names."""
        families = text_string_to_metric_families(self.metrics())
        samples = [sample for family in families for sample in family.samples]
        found: Samples = defaultdict(dict)  # a metric of which nothing is known yet has no samples
        for sample in samples:
            if sample.name.startswith("driftline_"):
                values = tuple(value for _, value in sorted(sample.labels.items()))
                found[sample.name.removeprefix("driftline_")][values] = sample.value
        return found


def complaints(exposition: str) -> str:
    """Return what `promtool check metrics` finds wrong; nothing, if all is well."""
    command = [program("promtool", installed_by="it comes with Prometheus"), "check", "metrics"]
    checked = subprocess.run(command, input=exposition, capture_output=True, text=True, timeout=60, check=False)
    found = checked.stdout + checked.stderr
    assert (checked.returncode == 0) is (found == "")
    return found


@contextmanager
def probed(name: str, settings: Settings, folder: Path) -> Iterator[tuple[Service, Probed]]:
    """Run a service with its health at a free port."""
    with service(name, settings, folder) as process:
        (line, *_) = until(lambda: [line for line in process.lines() if line["event"] == "serving_health"], bool)
        assert isinstance(line["port"], int)
        yield process, Probed(line["port"])
